// callgen: SIP and RTP load generator and meter, both ends in one process.
// It is both the caller (UAC, 127.0.0.2) and the called party (UAS, 127.0.0.3), so that all times are on one clock.
// RTP carries its send time; the arrival time is the kernel's (SO_TIMESTAMPNS).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;
typedef int64_t i64;
static u64 now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}
#define MS 1000000ull
#define SEC 1000000000ull
enum { IDLE, INV, UP, BYEING, DONE, FAIL };
typedef struct {
    int st;
    u64 t_sched, t_inv, t_200, t_agent, t_bye, next_rtx;
    int rtx;
    u64 hold_until;
    char totag[64], contact[160], route[512];
    u32 m_ip;
    u16 m_port;
    int media;
    u32 seq, ts;
    int got100;
} Uac;
typedef struct {
    int st;
    char cid[96];
    char fromh[200], toh[240], contact[160], route[512];
    int agent;
    int caller;
    u64 t_inv, ans_at, next_rtx;
    int rtx;
    char *ok;
    int oklen;
    u32 cseq;
    u32 m_ip;
    u16 m_port;
    int media;
    u32 seq;
    int hnext;
} Uas;
static struct sockaddr_in srv, uacA, uasA, mA, mB;
static int sA, sB, rA, rB;
static Uac *U;
static Uas *V;
static int NU, NV, capV;
static int ncalls = 10, loopmode = 0, dtmf = 0, ptime = 20, payload = 160, ringms = 0, nagents = 0, agenthang = 0,
           preack = 0;
static double rate = 10, hold = 5, measure = 10, warm = 2;
static int media = 0, pid = 0, pid2 = 0, waitfor = 0;
static const char *ext = "400", *label = "";
static int verbose = 0, cancelrest = 0, abandon = 0, holdagent = 0;
static u64 rtx_count, fail_count, unexpected;
static int okcount, endcount, failcodes[700];
static u32 *lat, *jit;
static size_t nlat, njit, caplat;
static u64 epoch_sent, epoch_rcvd, late_rtp;
static int epoch = 0;
static u32 *lastdA, *lastdB;
typedef struct {
    double *v;
    size_t n, c;
} Vec;
static void vpush(Vec *x, double d) {
    if (x->n == x->c) {
        x->c = x->c ? x->c * 2 : 1024;
        x->v = realloc(x->v, x->c * 8);
    }
    x->v[x->n++] = d;
}
static int cmpd(const void *a, const void *b) {
    double x = *(double *)a, y = *(double *)b;
    return x < y ? -1 : x > y;
}
static int cmpu(const void *a, const void *b) {
    u32 x = *(u32 *)a, y = *(u32 *)b;
    return x < y ? -1 : x > y;
}
static double pc(Vec *x, double p) {
    if (!x->n)
        return NAN;
    size_t i = (size_t)(p * (x->n - 1) + .5);
    return x->v[i];
}
static Vec v200, vagent, vagent200, vdisp, vbye;
static void show(const char *n, Vec *x) {
    if (!x->n)
        return;
    qsort(x->v, x->n, 8, cmpd);
    printf("%s n=%zu p50=%.2f p90=%.2f p99=%.2f p99.9=%.2f max=%.2f ms\n", n, x->n, pc(x, .5), pc(x, .9), pc(x, .99),
           pc(x, .999), x->v[x->n - 1]);
}
static void die(const char *s) {
    perror(s);
    exit(1);
}
static int mksock(struct sockaddr_in *a, int ts) {
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int b = 128 << 20;
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &b, 4);
    b = 16 << 20;
    setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &b, 4);
    b = 1;
    if (ts)
        setsockopt(s, SOL_SOCKET, SO_TIMESTAMPNS, &b, 4);
    if (bind(s, (void *)a, sizeof *a))
        die("bind");
    return s;
}
static struct sockaddr_in ad(const char *s) {
    char b[64];
    strncpy(b, s, 63);
    b[63] = 0;
    char *c = strchr(b, ':');
    struct sockaddr_in a = {.sin_family = AF_INET};
    *c = 0;
    a.sin_port = htons(atoi(c + 1));
    a.sin_addr.s_addr = inet_addr(b);
    return a;
}
static void snd(int s, const char *b, int n) {
    if (sendto(s, b, n, 0, (void *)&srv, sizeof srv) < 0 && errno != EAGAIN)
        perror("sendto");
}
// find header line (case-insensitive full name), returns ptr to value, length in *l
static const char *hdr(const char *m, const char *name, int *l) {
    size_t n = strlen(name);
    const char *p = m;
    while ((p = strstr(p, "\r\n"))) {
        p += 2;
        if (*p == '\r')
            break;
        if (!strncasecmp(p, name, n)) {
            const char *q = p + n;
            while (*q == ' ')
                q++;
            if (*q == ':') {
                q++;
                while (*q == ' ')
                    q++;
                const char *e = strstr(q, "\r\n");
                *l = e - q;
                return q;
            }
        }
    }
    return 0;
}
static int allhdr(const char *m, const char *name, char *out, int cap) {
    size_t n = strlen(name);
    const char *p = m;
    int o = 0;
    while ((p = strstr(p, "\r\n"))) {
        p += 2;
        if (*p == '\r')
            break;
        if (!strncasecmp(p, name, n) && p[n] == ':') {
            const char *e = strstr(p, "\r\n");
            int k = e + 2 - p;
            if (o + k < cap) {
                memcpy(out + o, p, k);
                o += k;
            }
        }
    }
    out[o] = 0;
    return o;
}
static void uri(const char *v, int l, char *out, int cap) {
    const char *a = memchr(v, '<', l);
    if (a) {
        a++;
        const char *e = memchr(a, '>', l - (a - v));
        int k = e - a;
        if (k >= cap)
            k = cap - 1;
        memcpy(out, a, k);
        out[k] = 0;
    } else {
        int k = 0;
        while (k < l && k < cap - 1 && v[k] != ';') {
            out[k] = v[k];
            k++;
        }
        out[k] = 0;
    }
}
static void tagof(const char *v, int l, char *out, int cap) {
    out[0] = 0;
    const char *p = memmem(v, l, ";tag=", 5);
    if (p) {
        p += 5;
        int k = 0;
        while (p < v + l && *p != ';' && k < cap - 1)
            out[k++] = *p++;
        out[k] = 0;
    }
}
static void sdp(const char *m, u32 *ip, u16 *port) {
    const char *b = strstr(m, "\r\n\r\n");
    if (!b)
        return;
    const char *c = strstr(b, "c=IN IP4 ");
    if (c) {
        char t[40];
        int k = 0;
        c += 9;
        while (*c > ' ' && *c != '/' && k < 39)
            t[k++] = *c++;
        t[k] = 0;
        *ip = inet_addr(t);
    }
    const char *a = strstr(b, "m=audio ");
    if (a)
        *port = htons(atoi(a + 8));
}
static char ipUac[20], ipUas[20], ipmA[20], ipmB[20], ipSrv[20];
static int mksdp(char *b, const char *ip, int port) {
    return sprintf(b,
                   "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0 101\r\na=rtpmap:0 "
                   "PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:%d\r\na=sendrecv\r\n",
                   ip, ip, port, ptime);
}
static int runid;
static void routes(const char *rr, char *out, int cap, int rev) {
    out[0] = 0; /* turn Record-Route lines into Route lines (single proxy: order does not matter) */
    const char *p = rr;
    int o = 0;
    while (*p) {
        const char *e = strstr(p, "\r\n");
        if (!e)
            break;
        const char *c = strchr(p, ':');
        int k = e - c;
        if (o + k + 9 < cap)
            o += sprintf(out + o, "Route%.*s\r\n", k, c);
        p = e + 2;
    }
}
static void uac_invite(int i) {
    Uac *c = &U[i];
    char s[400], b[2000];
    int sl = mksdp(s, ipmA, ntohs(mA.sin_port));
    int n =
        sprintf(b,
                "INVITE sip:%s@%s:%d SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;branch=z9hG4bK-%d-%d-i;rport\r\nFrom: "
                "<sip:c%d@%s>;tag=f%d-%d\r\nTo: <sip:%s@%s>\r\nCall-ID: u%d-%d@%s\r\nCSeq: 1 INVITE\r\nContact: "
                "<sip:c%d@%s:%d>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
                ext, ipSrv, ntohs(srv.sin_port), ipUac, ntohs(uacA.sin_port), runid, i, i, ipUac, runid, i, ext, ipSrv,
                i, runid, ipUac, i, ipUac, ntohs(uacA.sin_port), sl, s);
    snd(sA, b, n);
}
static void uac_req(int i, const char *meth, int cseq, const char *br) {
    Uac *c = &U[i];
    char b[2000];
    int n = sprintf(b,
                    "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;branch=z9hG4bK-%d-%d-%s;rport\r\n%sFrom: "
                    "<sip:c%d@%s>;tag=f%d-%d\r\nTo: <sip:%s@%s>;tag=%s\r\nCall-ID: u%d-%d@%s\r\nCSeq: %d "
                    "%s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
                    meth, c->contact, ipUac, ntohs(uacA.sin_port), runid, i, br, c->route, i, ipUac, runid, i, ext,
                    ipSrv, c->totag, i, runid, ipUac, cseq, meth);
    snd(sA, b, n);
}
static void uac_ackfail(int i, const char *totag) {
    char b[1500];
    int n = sprintf(b,
                    "ACK sip:%s@%s:%d SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;branch=z9hG4bK-%d-%d-i;rport\r\nFrom: "
                    "<sip:c%d@%s>;tag=f%d-%d\r\nTo: <sip:%s@%s>;tag=%s\r\nCall-ID: u%d-%d@%s\r\nCSeq: 1 "
                    "ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
                    ext, ipSrv, ntohs(srv.sin_port), ipUac, ntohs(uacA.sin_port), runid, i, i, ipUac, runid, i, ext,
                    ipSrv, totag, i, runid, ipUac);
    snd(sA, b, n);
}
static void reply(int s, const char *m, int code, const char *reason, const char *totag, const char *contact,
                  const char *body, int bl, char *keep, int *kl) {
    char vias[2400], rr[1200], b[6000];
    allhdr(m, "Via", vias, sizeof vias);
    if (!vias[0])
        allhdr(m, "v", vias, sizeof vias);
    allhdr(m, "Record-Route", rr, sizeof rr);
    int l;
    const char *f = hdr(m, "From", &l);
    int fl = l;
    const char *t = hdr(m, "To", &l);
    int tl = l;
    const char *ci = hdr(m, "Call-ID", &l);
    int cl = l;
    const char *cs = hdr(m, "CSeq", &l);
    int sl = l;
    int hastag = !!memmem(t, tl, ";tag=", 5);
    int n = sprintf(b, "SIP/2.0 %d %s\r\n%s%sFrom: %.*s\r\nTo: %.*s%s%s\r\nCall-ID: %.*s\r\nCSeq: %.*s\r\n", code,
                    reason, vias, rr, fl, f, tl, t, (!hastag && totag) ? ";tag=" : "", (!hastag && totag) ? totag : "",
                    cl, ci, sl, cs);
    if (contact)
        n += sprintf(b + n, "Contact: <%s>\r\nAllow: INVITE,ACK,BYE,CANCEL,OPTIONS\r\n", contact);
    if (bl)
        n += sprintf(b + n, "Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%.*s", bl, bl, body);
    else
        n += sprintf(b + n, "Content-Length: 0\r\n\r\n");
    snd(s, b, n);
    if (keep) {
        memcpy(keep, b, n);
        *kl = n;
    }
}
// uas call-id hash
static int *H;
static u32 HM;
static u32 hs(const char *p, int l) {
    u32 h = 2166136261u;
    while (l--)
        h = (h ^ (u8)*p++) * 16777619u;
    return h;
}
static int uas_find(const char *p, int l) {
    int i = H[hs(p, l) & HM];
    while (i >= 0) {
        if ((int)strlen(V[i].cid) == l && !memcmp(V[i].cid, p, l))
            return i;
        i = V[i].hnext;
    }
    return -1;
}
static u64 *agent_free;
static int *agent_busy;
static int agentmax = 100000;
static u64 doublering;
static void uac_done(int i, int st) {
    Uac *c = &U[i];
    if (c->st == DONE || c->st == FAIL)
        return;
    c->st = st;
    c->media = 0;
    endcount++;
    if (st == FAIL)
        fail_count++;
}
static int stat_mode = 0;
static u64 bye_from_srv;
static int active_up;
static const char *ngaddr = 0;
static int bstr(char *b, const char *k) { return sprintf(b, "%zu:%s", strlen(k), k); }
static int ng_cmd(int s, const char *cmd, int i, const char *sd, int ans, char *out) {
    static int ck;
    char b[3000];
    int n = sprintf(b, "%d_%d d", runid, ++ck);
    n += bstr(b + n, "command");
    n += bstr(b + n, cmd);
    char t[64];
    sprintf(t, "u%d-%d", i, runid);
    n += bstr(b + n, "call-id");
    n += bstr(b + n, t);
    sprintf(t, "f%d", i);
    n += bstr(b + n, "from-tag");
    n += bstr(b + n, t);
    if (ans) {
        sprintf(t, "t%d", i);
        n += bstr(b + n, "to-tag");
        n += bstr(b + n, t);
    }
    if (sd) {
        n += bstr(b + n, "sdp");
        n += bstr(b + n, sd);
        n += bstr(b + n, "ICE");
        n += bstr(b + n, "remove");
        n += bstr(b + n, "rtcp-mux");
        n += sprintf(b + n, "l6:removee");
    }
    b[n++] = 'e';
    if (send(s, b, n, 0) < 0)
        return -1;
    struct pollfd p = {s, POLLIN, 0};
    if (poll(&p, 1, 2000) <= 0)
        return -1;
    int r = recv(s, out, 3900, 0);
    if (r < 0)
        return -1;
    out[r] = 0;
    return r;
}

static void uac_rx(char *m, int len) {
    u64 t = now();
    int l;
    if (!strncmp(m, "SIP/2.0 ", 8)) {
        int code = atoi(m + 8);
        const char *ci = hdr(m, "Call-ID", &l);
        if (!ci || *ci != 'u')
            return;
        int i = atoi(ci + 1);
        const char *dash = strchr(ci, '-');
        if (!dash || atoi(dash + 1) != runid || i < 0 || i >= NU)
            return;
        Uac *c = &U[i];
        const char *cs = hdr(m, "CSeq", &l);
        int isinv = !!memmem(cs, l, "INVITE", 6);
        if (isinv) {
            if (code < 200) {
                c->got100 = 1;
                return;
            }
            const char *to = hdr(m, "To", &l);
            char tag[64];
            tagof(to, l, tag, 64);
            if (code < 300) {
                if (c->st == INV) {
                    strcpy(c->totag, tag);
                    const char *ct = hdr(m, "Contact", &l);
                    if (ct)
                        uri(ct, l, c->contact, sizeof c->contact);
                    char rr[1200];
                    allhdr(m, "Record-Route", rr, sizeof rr);
                    routes(rr, c->route, sizeof c->route, 1);
                    sdp(m, &c->m_ip, &c->m_port);
                    c->st = UP;
                    c->t_200 = t;
                    okcount++;
                    active_up++;
                    vpush(&v200, (t - c->t_sched) / 1e6);
                    c->hold_until = hold >= 0 ? t + (u64)(hold * SEC) : ~0ull;
                    if (media)
                        c->media = 1;
                    if (waitfor || holdagent)
                        c->hold_until = ~0ull;
                    if (holdagent && c->t_agent)
                        c->hold_until = c->t_agent + (u64)(hold * SEC);
                } else
                    rtx_count++;
                uac_req(i, "ACK", 1, "a");
                if (c->st == UP && hold == 0 && !waitfor && !holdagent) {
                    c->st = BYEING;
                    c->t_bye = t;
                    c->next_rtx = t + 500 * MS;
                    uac_req(i, "BYE", 2, "b");
                    active_up--;
                }
            } else {
                uac_ackfail(i, tag);
                if (code < 700)
                    failcodes[code]++;
                if (c->st == INV)
                    uac_done(i, FAIL);
            }
        } else if (memmem(cs, l, "BYE", 3)) {
            if (c->st == BYEING) {
                vpush(&vbye, (t - c->t_bye) / 1e6);
                uac_done(i, DONE);
            }
        }
    } else {
        char meth[16];
        int k = 0;
        while (m[k] != ' ' && k < 15) {
            meth[k] = m[k];
            k++;
        }
        meth[k] = 0;
        const char *ci = hdr(m, "Call-ID", &l);
        int i = -1;
        if (ci && *ci == 'u') {
            i = atoi(ci + 1);
            const char *dash = strchr(ci, '-');
            if (!dash || atoi(dash + 1) != runid || i >= NU)
                i = -1;
        }
        if (!strcmp(meth, "ACK"))
            return;
        if (!strcmp(meth, "BYE")) {
            reply(sA, m, 200, "OK", 0, 0, 0, 0, 0, 0);
            if (i >= 0 && U[i].st == UP) {
                bye_from_srv++;
                active_up--;
                uac_done(i, DONE);
            }
            return;
        }
        if (!strcmp(meth, "INVITE")) {
            char s[400];
            int sl = mksdp(s, ipmA, ntohs(mA.sin_port));
            char ct[80];
            sprintf(ct, "sip:c%d@%s:%d", i, ipUac, ntohs(uacA.sin_port));
            unexpected++;
            if (i >= 0)
                sdp(m, &U[i].m_ip, &U[i].m_port);
            reply(sA, m, 200, "OK", 0, ct, s, sl, 0, 0);
            return;
        }
        reply(sA, m, 200, "OK", "x", 0, 0, 0, 0, 0);
    }
}
static void uas_answer(int i, u64 t) { Uas *v = &V[i]; }
static int hangq;
static void uas_rx(char *m, int len) {
    u64 t = now();
    int l;
    if (!strncmp(m, "SIP/2.0 ", 8)) {
        const char *cs = hdr(m, "CSeq", &l);
        if (cs && memmem(cs, l, "BYE", 3)) {
            const char *ci = hdr(m, "Call-ID", &l);
            int i = uas_find(ci, l);
            if (i >= 0 && V[i].st == BYEING) {
                V[i].st = DONE;
            }
        }
        return;
    }
    char meth[16];
    int k = 0;
    while (m[k] != ' ' && k < 15) {
        meth[k] = m[k];
        k++;
    }
    meth[k] = 0;
    const char *ci = hdr(m, "Call-ID", &l);
    if (!ci)
        return;
    int cl = l;
    int i = uas_find(ci, cl);
    if (!strcmp(meth, "INVITE")) {
        char ct[80];
        if (i >= 0) {
            Uas *v = &V[i];
            if (v->ok) {
                rtx_count++;
                if (v->st == INV)
                    snd(sB, v->ok, v->oklen);
                else {
                    unexpected++;
                    char s[400];
                    int sl = mksdp(s, ipmB, ntohs(mB.sin_port));
                    sprintf(ct, "sip:a@%s:%d", ipUas, ntohs(uasA.sin_port));
                    sdp(m, &v->m_ip, &v->m_port);
                    reply(sB, m, 200, "OK", 0, ct, s, sl, 0, 0);
                }
            } else
                rtx_count++;
            return;
        }
        if (NV == capV) {
            fprintf(stderr, "uas table full\n");
            return;
        }
        i = NV++;
        Uas *v = &V[i];
        memset(v, 0, sizeof *v);
        if (cl > 95)
            cl = 95;
        memcpy(v->cid, ci, cl);
        u32 h = hs(ci, cl) & HM;
        v->hnext = H[h];
        H[h] = i;
        v->t_inv = t;
        v->st = INV;
        sdp(m, &v->m_ip, &v->m_port);
        v->agent = -1;
        const char *sp = strstr(m, "sip:");
        if (sp) {
            sp += 4;
            if (!strncmp(sp, "agent", 5))
                v->agent = atoi(sp + 5);
        }
        const char *f = hdr(m, "From", &l);
        v->caller = -1;
        const char *fc = memmem(f, l, "sip:c", 5);
        if (fc && isdigit(fc[5])) {
            v->caller = atoi(fc + 5);
            if (v->caller < NU) {
                Uac *c = &U[v->caller];
                if (!c->t_agent) {
                    c->t_agent = t;
                    vpush(&vagent, (t - c->t_sched) / 1e6);
                    if (holdagent)
                        c->hold_until = t + (u64)(hold * SEC);
                    if (c->t_200)
                        vpush(&vagent200, (t - c->t_200) / 1e6);
                }
            }
        }
        if (v->agent >= 0 && v->agent < agentmax) {
            if (agent_busy[v->agent] > 0)
                doublering++;
            agent_busy[v->agent]++;
            if (agent_free[v->agent]) {
                vpush(&vdisp, (t - agent_free[v->agent]) / 1e6);
                agent_free[v->agent] = 0;
            }
        }
        const char *cth = hdr(m, "Contact", &l);
        if (cth)
            uri(cth, l, v->contact, sizeof v->contact);
        char s[400];
        int sl = mksdp(s, ipmB, ntohs(mB.sin_port));
        char tag[40];
        sprintf(tag, "t%d-%d", runid, i);
        sprintf(ct, "sip:a%d@%s:%d", i, ipUas, ntohs(uasA.sin_port));
        v->ok = malloc(3000);
        if (ringms) {
            reply(sB, m, 180, "Ringing", tag, ct, 0, 0, 0, 0); /*prepare ok*/
            int real = sB;
            char vias[1];
            v->ans_at = t + ringms * MS;
            char *mm = strdup(m); /* build without sending: send to nowhere */
            int pfd[2];
            (void)real;
            (void)vias;
            (void)pfd;
            free(mm);
            // store request for later
            free(v->ok);
            v->ok = 0;
            char *cp = malloc(len + 1);
            memcpy(cp, m, len + 1);
            v->fromh[0] = 0;
            *(char **)v->fromh = cp;
        } else {
            reply(sB, m, 200, "OK", tag, ct, s, sl, v->ok, &v->oklen);
            v->next_rtx = t + 500 * MS;
            v->ans_at = 0;
        }
    } else if (!strcmp(meth, "ACK")) {
        if (i >= 0 && V[i].st == INV) {
            V[i].st = UP;
            V[i].media = media;
        }
    } else if (!strcmp(meth, "BYE")) {
        reply(sB, m, 200, "OK", 0, 0, 0, 0, 0, 0);
        if (i >= 0 && V[i].st != DONE) {
            Uas *v = &V[i];
            v->st = DONE;
            v->media = 0;
            if (v->agent >= 0) {
                agent_busy[v->agent]--;
                agent_free[v->agent] = t;
            }
            free(v->ok);
            v->ok = 0;
        }
    } else if (!strcmp(meth, "CANCEL")) {
        reply(sB, m, 200, "OK", 0, 0, 0, 0, 0, 0);
        if (i >= 0 && V[i].st == INV && V[i].ans_at) {
            char tag[40];
            sprintf(tag, "t%d-%d", runid, i);
            reply(sB, *(char **)V[i].fromh, 487, "Terminated", tag, 0, 0, 0, 0, 0);
            V[i].st = DONE;
            if (V[i].agent >= 0) {
                agent_busy[V[i].agent]--;
                agent_free[V[i].agent] = t;
            }
        }
    } else
        reply(sB, m, 200, "OK", "o", 0, 0, 0, 0, 0);
}
#define B 64
static char rb[B][4096];
static struct mmsghdr mm[B];
static struct iovec iv[B];
static char cb[B][256];
static void drain_sip(int s, void (*f)(char *, int)) {
    for (;;) {
        for (int i = 0; i < B; i++) {
            iv[i].iov_base = rb[i];
            iv[i].iov_len = 4095;
            memset(&mm[i].msg_hdr, 0, sizeof mm[i].msg_hdr);
            mm[i].msg_hdr.msg_iov = &iv[i];
            mm[i].msg_hdr.msg_iovlen = 1;
        }
        int n = recvmmsg(s, mm, B, 0, 0);
        if (n <= 0)
            return;
        for (int i = 0; i < n; i++) {
            rb[i][mm[i].msg_len] = 0;
            f(rb[i], mm[i].msg_len);
        }
        if (n < B)
            return;
    }
}
static u64 dtmf_rx;
static void drain_rtp(int s, int side) {
    for (;;) {
        for (int i = 0; i < B; i++) {
            iv[i].iov_base = rb[i];
            iv[i].iov_len = 2048;
            memset(&mm[i].msg_hdr, 0, sizeof mm[i].msg_hdr);
            mm[i].msg_hdr.msg_iov = &iv[i];
            mm[i].msg_hdr.msg_iovlen = 1;
            mm[i].msg_hdr.msg_control = cb[i];
            mm[i].msg_hdr.msg_controllen = 256;
        }
        int n = recvmmsg(s, mm, B, 0, 0);
        if (n <= 0)
            return;
        for (int i = 0; i < n; i++) {
            if (mm[i].msg_len < 12 + 20)
                continue;
            u64 t = 0;
            for (struct cmsghdr *c = CMSG_FIRSTHDR(&mm[i].msg_hdr); c; c = CMSG_NXTHDR(&mm[i].msg_hdr, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
                    struct timespec *ts = (void *)CMSG_DATA(c);
                    t = ts->tv_sec * SEC + ts->tv_nsec;
                }
            u8 *p = (u8 *)rb[i] + 12;
            u32 mg;
            memcpy(&mg, p, 4);
            if (mg != 0x51ca11ed) {
                late_rtp++;
                continue;
            }
            u64 st;
            u32 idx, ep;
            memcpy(&st, p + 4, 8);
            memcpy(&idx, p + 12, 4);
            memcpy(&ep, p + 16, 4);
            if ((int)ep != epoch || !epoch)
                continue;
            epoch_rcvd++;
            i64 d = (i64)(t - st);
            if (d < 0)
                d = 0;
            u32 us = d / 1000;
            if (nlat < caplat)
                lat[nlat++] = us;
            u32 *ld = (side ? lastdB : lastdA) + idx;
            if (*ld != ~0u) {
                u32 j = us > *ld ? us - *ld : *ld - us;
                if (njit < caplat)
                    jit[njit++] = j;
            }
            *ld = us;
        }
        if (n < B)
            return;
    }
}
static struct mmsghdr tm_[B];
static struct iovec ti[B];
static char tb[B][400];
static struct sockaddr_in ta[B];
static int tn;
static u64 txfail;
static void tflush(int s) {
    int o = 0;
    while (o < tn) {
        int n = sendmmsg(s, tm_ + o, tn - o, 0);
        if (n <= 0) {
            txfail += tn - o;
            break;
        }
        o += n;
    }
    tn = 0;
}
static void tx(int s, u32 ip, u16 port, u32 seq, u32 idx) {
    char *b = tb[tn];
    u8 h[12] = {0x80, 0};
    u16 sq = htons(seq);
    u32 ts = htonl(seq * payload), ss = htonl(0x10000 + idx);
    memcpy(b, h, 2);
    memcpy(b + 2, &sq, 2);
    memcpy(b + 4, &ts, 4);
    memcpy(b + 8, &ss, 4);
    u32 mg = 0x51ca11ed;
    u64 t = now();
    memcpy(b + 12, &mg, 4);
    memcpy(b + 16, &t, 8);
    memcpy(b + 24, &idx, 4);
    u32 ep = epoch;
    memcpy(b + 28, &ep, 4);
    memset(b + 32, 0xff, payload - 20);
    ti[tn].iov_base = b;
    ti[tn].iov_len = 12 + payload;
    ta[tn].sin_family = AF_INET;
    ta[tn].sin_addr.s_addr = ip;
    ta[tn].sin_port = port;
    memset(&tm_[tn].msg_hdr, 0, sizeof tm_[tn].msg_hdr);
    tm_[tn].msg_hdr.msg_name = &ta[tn];
    tm_[tn].msg_hdr.msg_namelen = sizeof ta[tn];
    tm_[tn].msg_hdr.msg_iov = &ti[tn];
    tm_[tn].msg_hdr.msg_iovlen = 1;
    tn++;
    if (epoch == 1)
        epoch_sent++;
    if (tn == 16)
        tflush(s);
}
static double cpu_of(int p) {
    if (!p)
        return 0;
    char f[64], b[1024];
    sprintf(f, "/proc/%d/stat", p);
    FILE *h = fopen(f, "r");
    if (!h)
        return 0;
    size_t n = fread(b, 1, 1023, h);
    b[n] = 0;
    fclose(h);
    char *q = strrchr(b, ')');
    long u, s;
    sscanf(q + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &u, &s);
    return (u + s) / 100.0;
}
static void cpu_split(int p, double *u_, double *s_) {
    char f[64], b[1024];
    sprintf(f, "/proc/%d/stat", p);
    FILE *h = fopen(f, "r");
    if (!h)
        return;
    size_t n = fread(b, 1, 1023, h);
    b[n] = 0;
    fclose(h);
    char *q = strrchr(b, ')');
    long u, s;
    sscanf(q + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &u, &s);
    *u_ = u / 100.;
    *s_ = s / 100.;
}
static long memkb(int p, const char *k) {
    if (!p)
        return 0;
    char f[64], b[256];
    sprintf(f, "/proc/%d/status", p);
    FILE *h = fopen(f, "r");
    if (!h)
        return 0;
    long v = 0;
    while (fgets(b, 256, h))
        if (!strncmp(b, k, strlen(k)))
            v = atol(b + strlen(k) + 1);
    fclose(h);
    return v;
}
static void sysbusy(double *c0, double *c1) {
    FILE *h = fopen("/proc/stat", "r");
    char b[512];
    *c0 = *c1 = 0;
    while (fgets(b, 512, h)) {
        long u, n, s, id, io, ir, so, stl;
        int k;
        if (sscanf(b, "cpu%d %ld %ld %ld %ld %ld %ld %ld %ld", &k, &u, &n, &s, &id, &io, &ir, &so, &stl) == 9) {
            double v = (u + n + s + ir + so + stl) / 100.;
            if (k == 0)
                *c0 = v;
            else
                *c1 = v;
        }
    }
    fclose(h);
}
static double selfcpu(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}
int main(int c, char **v) {
    srv = ad("127.0.0.1:5060");
    uacA = ad("127.0.0.2:5070");
    uasA = ad("127.0.0.3:5080");
    mA = ad("127.0.0.2:40000");
    mB = ad("127.0.0.3:40000");
    for (int i = 1; i < c; i++) {
        char *a = v[i];
#define O(n) (!strcmp(a, n) && i + 1 < c)
        if (O("--server"))
            srv = ad(v[++i]);
        else if (O("--uac"))
            uacA = ad(v[++i]);
        else if (O("--uas"))
            uasA = ad(v[++i]);
        else if (O("--ext"))
            ext = v[++i];
        else if (O("--calls"))
            ncalls = atoi(v[++i]);
        else if (O("--rate"))
            rate = atof(v[++i]);
        else if (O("--hold"))
            hold = atof(v[++i]);
        else if (O("--measure"))
            measure = atof(v[++i]);
        else if (O("--warm"))
            warm = atof(v[++i]);
        else if (O("--pid"))
            pid = atoi(v[++i]);
        else if (O("--pid2"))
            pid2 = atoi(v[++i]);
        else if (O("--ring"))
            ringms = atoi(v[++i]);
        else if (O("--label"))
            label = v[++i];
        else if (O("--ng"))
            ngaddr = v[++i];
        else if (O("--static"))
            stat_mode = atoi(v[++i]);
        else if (!strcmp(a, "--media"))
            media = 1;
        else if (!strcmp(a, "--fixed"))
            waitfor = 1;
        else if (!strcmp(a, "--abandon"))
            abandon = 1;
        else if (!strcmp(a, "-v"))
            verbose = 1;
        else if (!strcmp(a, "--holdagent"))
            holdagent = 1;
        else {
            fprintf(stderr, "bad arg %s\n", a);
            return 2;
        }
    }
    strcpy(ipSrv, inet_ntoa(srv.sin_addr));
    strcpy(ipUac, inet_ntoa(uacA.sin_addr));
    strcpy(ipUas, inet_ntoa(uasA.sin_addr));
    strcpy(ipmA, inet_ntoa(mA.sin_addr));
    strcpy(ipmB, inet_ntoa(mB.sin_addr));
    sA = mksock(&uacA, 0);
    sB = mksock(&uasA, 0);
    rA = mksock(&mA, 1);
    rB = mksock(&mB, 1);
    runid = (now() / MS) % 1000000 + 1;
    NU = ncalls;
    U = calloc(NU, sizeof *U);
    capV = NU * 3 + 1000;
    V = calloc(capV, sizeof *V);
    HM = 1;
    while (HM < (u32)capV * 2)
        HM *= 2;
    H = malloc(HM * 4);
    memset(H, 0xff, HM * 4);
    HM--;
    agent_free = calloc(agentmax, 8);
    agent_busy = calloc(agentmax, 4);
    caplat = media ? 20000000 : 1;
    lat = malloc(caplat * 4);
    jit = malloc(caplat * 4);
    lastdA = malloc(4 * (capV + NU));
    lastdB = malloc(4 * (capV + NU));
    memset(lastdA, 0xff, 4 * (capV + NU));
    memset(lastdB, 0xff, 4 * (capV + NU));
    if (ngaddr) {
        int s = socket(AF_INET, SOCK_DGRAM, 0);
        struct sockaddr_in na = ad(ngaddr);
        connect(s, (void *)&na, sizeof na);
        char o[4000], sd[400], sdm[2000];
        int bad = 0;
        u64 a0 = now();
        for (int i = 0; i < ncalls; i++) {
            mksdp(sd, ipmA, ntohs(mA.sin_port));
            if (ng_cmd(s, "offer", i, sd, 0, o) < 0 || !strstr(o, "m=audio")) {
                if (!bad++)
                    fprintf(stderr, "ng: %s\n", o);
                continue;
            }
            snprintf(sdm, 2000, "\r\n\r\n%s", strstr(o, "v=0"));
            Uas *x = &V[NV++];
            x->cid[0] = 'n';
            sdp(sdm, &x->m_ip, &x->m_port);
            mksdp(sd, ipmB, ntohs(mB.sin_port));
            if (ng_cmd(s, "answer", i, sd, 1, o) < 0 || !strstr(o, "m=audio")) {
                if (!bad++)
                    fprintf(stderr, "ng: %s\n", o);
                continue;
            }
            snprintf(sdm, 2000, "\r\n\r\n%s", strstr(o, "v=0"));
            Uac *u = &U[i];
            sdp(sdm, &u->m_ip, &u->m_port);
            u->st = UP;
            u->media = 1;
            x->st = UP;
            x->media = 1;
            u->hold_until = ~0ull;
            active_up++;
            okcount++;
        }
        printf("ng offer+answer: %d calls in %.2f s, bad=%d\n", ncalls, (now() - a0) / 1e9, bad);
    }
    if (stat_mode) {
        for (int i = 0; i < ncalls; i++) {
            Uac *u = &U[i];
            Uas *x = &V[NV++];
            x->cid[0] = 'n';
            u->m_ip = x->m_ip = inet_addr("127.0.0.1");
            u->m_port = htons(stat_mode == 3 ? 10000 : 10000 + 2 * i);
            x->m_port = htons(stat_mode == 3 ? 10001 : 10001 + 2 * i);
            u->st = x->st = UP;
            u->media = x->media = 1;
            u->hold_until = ~0ull;
            active_up++;
            okcount++;
        }
    }
    u64 t0 = now() + 50 * MS;
    int started = 0;
    if (ngaddr || stat_mode)
        started = ncalls;
    u64 tick = t0, tickn = 0;
    u64 sweep = t0;
    double cp0 = 0, cp1 = 0, u0 = 0, s0 = 0, u1 = 0, s1 = 0, b0 = 0, b1 = 0, e0 = 0, e1 = 0, sc0 = 0, sc1 = 0, q0 = 0,
           q1 = 0;
    u64 m0 = 0, m1 = 0;
    long rss0 = memkb(pid, "VmRSS"), rss1 = 0, thr1 = 0;
    int phase = 0;
    if (!waitfor) { /* steady open loop: measure from warm to end of arrivals */
    }
    double dur = ncalls / rate;
    u64 t_end_arr = t0 + (u64)(dur * SEC);
    u64 t_stop = 0;
    double peak = 0;
    u64 maxlate = 0;
    for (;;) {
        u64 t = now();
        // start calls
        while (started < ncalls && t >= t0 + (u64)(started / rate * SEC)) {
            Uac *u = &U[started];
            u->t_sched = t0 + (u64)(started / rate * SEC);
            u->t_inv = t;
            u->st = INV;
            u->next_rtx = t + 500 * MS;
            if (t - u->t_sched > maxlate)
                maxlate = t - u->t_sched;
            uac_invite(started);
            started++;
            if ((started & 7) == 0) {
                drain_sip(sA, uac_rx);
                drain_sip(sB, uas_rx);
                t = now();
            }
        }
        drain_sip(sA, uac_rx);
        drain_sip(sB, uas_rx);
        t = now();
        if (t >= sweep) {
            sweep = t + 5 * MS;
            for (int i = 0; i < started; i++) {
                Uac *u = &U[i];
                if (u->st == INV) {
                    if (t >= u->next_rtx) {
                        if (!u->got100) {
                            if (u->rtx >= 6) {
                                failcodes[0]++;
                                uac_done(i, FAIL);
                                continue;
                            }
                            uac_invite(i);
                            rtx_count++;
                            u->rtx++;
                            u->next_rtx = t + (500 * MS << u->rtx);
                        } else if (t - u->t_inv > 60 * SEC && !abandon) {
                            failcodes[1]++;
                            uac_done(i, FAIL);
                        }
                    }
                } else if (u->st == UP) {
                    if (t >= u->hold_until) {
                        u->st = BYEING;
                        u->t_bye = t;
                        u->next_rtx = t + 500 * MS;
                        u->media = 0;
                        uac_req(i, "BYE", 2, "b");
                        active_up--;
                    }
                } else if (u->st == BYEING && t >= u->next_rtx) {
                    if (u->rtx++ > 8) {
                        uac_done(i, FAIL);
                        failcodes[2]++;
                    } else {
                        rtx_count++;
                        uac_req(i, "BYE", 2, "b");
                        u->next_rtx = t + 1000 * MS;
                    }
                }
            }
            for (int i = 0; i < NV; i++) {
                Uas *x = &V[i];
                if (x->st == INV) {
                    if (x->ans_at && t >= x->ans_at) {
                        char s[400], ct[80], tag[40];
                        int sl = mksdp(s, ipmB, ntohs(mB.sin_port));
                        sprintf(tag, "t%d-%d", runid, i);
                        sprintf(ct, "sip:a%d@%s:%d", i, ipUas, ntohs(uasA.sin_port));
                        x->ok = malloc(3000);
                        reply(sB, *(char **)x->fromh, 200, "OK", tag, ct, s, sl, x->ok, &x->oklen);
                        x->ans_at = 0;
                        x->next_rtx = t + 500 * MS;
                        x->rtx = 0;
                    } else if (!x->ans_at && t >= x->next_rtx && x->rtx < 6) {
                        snd(sB, x->ok, x->oklen);
                        rtx_count++;
                        x->rtx++;
                        x->next_rtx = t + (500 * MS << x->rtx);
                    }
                }
            }
        }
        // phases
        if (phase == 0 && ((waitfor && started == ncalls && t > t_end_arr + (u64)(warm * SEC)) ||
                           (!waitfor && t > t0 + (u64)(warm * SEC)))) {
            phase = 1;
            m0 = now();
            cp0 = cpu_of(pid);
            if (pid)
                cpu_split(pid, &u0, &s0);
            q0 = cpu_of(pid2);
            sysbusy(&b0, &e0);
            sc0 = selfcpu();
            epoch = 1;
        }
        if (phase == 1 && ((waitfor && t > m0 + (u64)(measure * SEC)) || (!waitfor && t >= t_end_arr))) {
            phase = 2;
            epoch = media ? 1 : 1;
            m1 = now();
            cp1 = cpu_of(pid);
            if (pid)
                cpu_split(pid, &u1, &s1);
            q1 = cpu_of(pid2);
            sysbusy(&b1, &e1);
            sc1 = selfcpu();
            rss1 = memkb(pid, "VmRSS");
            thr1 = memkb(pid, "Threads");
            peak = active_up;
            t_stop = t + 500 * MS;
            epoch = 0; /* stop counting sends; keep receiving */
            epoch = -1;
        }
        if (phase == 2 && t > t_stop) {
            phase = 3;
            if (stat_mode)
                break;
            if (ngaddr) {
                int s = socket(AF_INET, SOCK_DGRAM, 0);
                struct sockaddr_in na = ad(ngaddr);
                connect(s, (void *)&na, sizeof na);
                char o[4000];
                for (int i = 0; i < ncalls; i++) {
                    ng_cmd(s, "delete", i, 0, 0, o);
                }
                break;
            }
            if (waitfor || abandon)
                for (int i = 0; i < started; i++)
                    if (U[i].st == UP)
                        U[i].hold_until = t + (u64)i * 2 * MS;
        }
        if (phase == 3 && (endcount >= ncalls || t > t_stop + (waitfor ? 20 : (u64)(hold + 35)) * SEC))
            break;
        // media
        while (media && t >= tick) {
            int slot = tickn % ptime;
            if (epoch == -1) {
            }
            for (int i = slot; i < started; i += ptime) {
                Uac *u = &U[i];
                if (u->media && u->m_port)
                    tx(rA, u->m_ip, u->m_port, u->seq++, i);
            }
            tflush(rA);
            for (int i = slot; i < NV; i += ptime) {
                Uas *x = &V[i];
                if (x->media && x->m_port)
                    tx(rB, x->m_ip, x->m_port, x->seq++, i);
            }
            tflush(rB);
            tickn++;
            tick += MS;
            if (t > tick + 200 * MS) {
                tick = t;
            }
        }
        if (media) {
            int e = epoch;
            if (e == -1)
                epoch = 1;
            drain_rtp(rB, 0);
            drain_rtp(rA, 1);
            if (e == -1)
                epoch = -1;
        }
        t = now();
        u64 nx = media ? tick : t + MS;
        if (started < ncalls) {
            u64 z = t0 + (u64)(started / rate * SEC);
            if (z < nx)
                nx = z;
        }
        if (nx > t) {
            struct timespec ts = {0, (long)(nx - t)};
            struct pollfd p[2] = {{sA, POLLIN, 0}, {sB, POLLIN, 0}};
            ppoll(p, 2, &ts, 0);
        }
    }
    // epoch -1 sends must not be counted: tx increments only when epoch!=0 -> compensate below
    double w = (m1 - m0) / 1e9;
    printf("## %s ext=%s calls=%d rate=%.1f hold=%.1f media=%d\n", label, ext, ncalls, rate, hold, media);
    printf("ok=%d fail=%llu rtx=%llu reinv=%llu srv_bye=%llu gen_late_max=%.1fms uas_calls=%d double_ring=%llu "
           "notended=%d",
           okcount, (unsigned long long)fail_count, (unsigned long long)rtx_count, (unsigned long long)unexpected,
           (unsigned long long)bye_from_srv, maxlate / 1e6, NV, (unsigned long long)doublering, ncalls - endcount);
    for (int i = 0; i < 700; i++)
        if (failcodes[i])
            printf(" f%d=%d", i, failcodes[i]);
    printf("\n");
    show("invite->200", &v200);
    show("invite->agentINVITE", &vagent);
    show("200->agentINVITE", &vagent200);
    show("agentfree->nextINVITE", &vdisp);
    show("bye->200", &vbye);
    if (media) {
        qsort(lat, nlat, 4, cmpu);
        qsort(jit, njit, 4, cmpu);
        printf("rtp sent=%llu rcvd=%llu loss=%.4f%% txfail=%llu other=%llu delay_us p50=%u p99=%u p99.9=%u max=%u "
               "jitter_us p50=%u p99=%u p99.9=%u\n",
               (unsigned long long)epoch_sent, (unsigned long long)epoch_rcvd,
               epoch_sent ? 100.0 * ((double)epoch_sent - (double)epoch_rcvd) / epoch_sent : 0,
               (unsigned long long)txfail, (unsigned long long)late_rtp, nlat ? lat[nlat / 2] : 0,
               nlat ? lat[(size_t)(nlat * .99)] : 0, nlat ? lat[(size_t)(nlat * .999)] : 0, nlat ? lat[nlat - 1] : 0,
               njit ? jit[njit / 2] : 0, njit ? jit[(size_t)(njit * .99)] : 0, njit ? jit[(size_t)(njit * .999)] : 0);
    }
    double srvc = cp1 - cp0, me = sc1 - sc0, oth = (b1 - b0) + (e1 - e0) - srvc - me - (q1 - q0);
    printf("window=%.2fs server_cpu=%.2fs (%.1f%% core; user %.2f sys %.2f) gen_cpu=%.1f%% other_cpu=%.1f%% "
           "core0=%.1f%% core1=%.1f%% pid2=%.1f%% up_at_end=%d rss0=%ldkB rss1=%ldkB threads=%ld\n",
           w, srvc, 100 * srvc / w, u1 - u0, s1 - s0, 100 * me / w, 100 * oth / w, 100 * (b1 - b0) / w,
           100 * (e1 - e0) / w, 100 * (q1 - q0) / w, (int)peak, rss0, rss1, thr1);
    if (waitfor && media && peak > 0)
        printf("cpu_per_call=%.6f core-s per call-s ; rss_per_call=%.1f kB\n", srvc / w / peak,
               (double)(rss1 - rss0) / peak);
    if (!waitfor)
        printf("cpu_per_completed_call=%.3f ms\n", 1000 * srvc / (w * rate));
    return 0;
}
