// relay: floor for RTP relaying on this kernel. usage: relay MODE NCALLS
// mode 1: socket per leg, epoll, recvfrom+sendto, one packet a time
// mode 2: socket per leg, 1 ms tick, epoll batch then recv+send(connected) without cmsg
// mode 3: one shared socket per side, recvmmsg/sendmmsg batches of 64, demux by SSRC table
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
static struct sockaddr_in A(const char *ip, int p) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(p)};
    a.sin_addr.s_addr = inet_addr(ip);
    return a;
} int main(int c, char **v) {
    int mode = atoi(v[1]), n = atoi(v[2]);
    struct sockaddr_in ga = A("127.0.0.2", 40000), gb = A("127.0.0.3", 40000);
    if (mode == 3) {
        int s[2];
        for (int k = 0; k < 2; k++) {
            s[k] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
            int b = 64 << 20;
            setsockopt(s[k], SOL_SOCKET, SO_RCVBUFFORCE, &b, 4);
            b = 16 << 20;
            setsockopt(s[k], SOL_SOCKET, SO_SNDBUFFORCE, &b, 4);
            struct sockaddr_in a = A("127.0.0.1", 10000 + k);
            if (bind(s[k], (void *)&a, sizeof a)) {
                perror("bind");
                return 1;
            }
            struct sockaddr_in *g = k ? &gb : &ga;
            connect(s[k], (void *)g, sizeof *g);
        }
        static char buf[64][400];
        struct mmsghdr m[64];
        struct iovec iv[64];
        static uint32_t tab[1 << 18];
        for (;;) {
            struct timespec ts = {0, 1000000};
            nanosleep(&ts, 0);
            for (int k = 0; k < 2; k++)
                for (;;) {
                    for (int i = 0; i < 64; i++) {
                        iv[i].iov_base = buf[i];
                        iv[i].iov_len = 400;
                        memset(&m[i].msg_hdr, 0, sizeof m[i].msg_hdr);
                        m[i].msg_hdr.msg_iov = &iv[i];
                        m[i].msg_hdr.msg_iovlen = 1;
                    }
                    int r = recvmmsg(s[k], m, 64, 0, 0);
                    if (r <= 0)
                        break;
                    for (int i = 0; i < r; i++) {
                        uint32_t ss;
                        memcpy(&ss, buf[i] + 8, 4);
                        ss = ntohl(ss);
                        tab[ss & 0x3ffff]++;
                        ss = htonl(ss + 7);
                        memcpy(buf[i] + 8, &ss, 4);
                        iv[i].iov_len = m[i].msg_len;
                    }
                    int o = 0;
                    while (o < r) {
                        int w = sendmmsg(s[!k], m + o, r - o, 0);
                        if (w <= 0)
                            break;
                        o += w;
                    }
                    if (r < 64)
                        break;
                }
        }
    }
    int ep = epoll_create1(0);
    int *f = calloc(2 * n, 4);
    for (int i = 0; i < 2 * n; i++) {
        f[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        struct sockaddr_in a = A("127.0.0.1", 10000 + i);
        if (bind(f[i], (void *)&a, sizeof a)) {
            perror("bind");
            return 1;
        }
        struct sockaddr_in *g = (i & 1) ? &gb : &ga;
        if (mode == 2)
            connect(f[i], (void *)g, sizeof *g);
        struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u32 = i};
        epoll_ctl(ep, EPOLL_CTL_ADD, f[i], &e);
    }
    struct epoll_event ev[512];
    char b[2048];
    for (;;) {
        if (mode == 2) {
            struct timespec ts = {0, 1000000};
            nanosleep(&ts, 0);
        }
        int r = epoll_wait(ep, ev, 512, mode == 2 ? 100 : -1);
        for (int j = 0; j < r; j++) {
            int i = ev[j].data.u32;
            for (;;) {
                struct sockaddr_in src;
                socklen_t sl = sizeof src;
                int k = mode == 1 ? recvfrom(f[i], b, 2048, 0, (void *)&src, &sl) : recv(f[i], b, 2048, 0);
                if (k < 12)
                    break;
                uint32_t ss;
                memcpy(&ss, b + 8, 4);
                ss = htonl(ntohl(ss) + 7);
                memcpy(b + 8, &ss, 4);
                if (mode == 1) {
                    struct sockaddr_in *g = (i & 1) ? &ga : &gb;
                    sendto(f[i ^ 1], b, k, 0, (void *)g, sizeof *g);
                } else
                    send(f[i ^ 1], b, k, 0);
                if (mode == 2)
                    break;
            }
        }
    }
}
