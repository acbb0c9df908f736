/* spandsp's DTMF receiver as a peer: reads blocks of samples from standard input (a count, 32 bits, then so many 16-bit
 * samples, native byte order) and answers each with a line: the digits it heard, and the CPU time in nanoseconds.
 * With an argument the detector is kept from block to block (a long recording), otherwise each block has a new one. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <spandsp.h>

static char heard[1 << 16];
static int count;

static void digits(void *user, const char *text, int len)
{
    (void) user;
    for (int i = 0; i < len && count + 1 < (int) sizeof(heard); i++)
        heard[count++] = text[i];
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv)
{
    uint32_t len;
    int16_t *pcm = NULL;
    dtmf_rx_state_t *rx = NULL;
    (void) argv;
    while (fread(&len, sizeof(len), 1, stdin) == 1) {
        pcm = realloc(pcm, len * sizeof(*pcm) + 1);
        if (pcm == NULL || fread(pcm, sizeof(*pcm), len, stdin) != len)
            return 1;
        count = 0;
        if (rx == NULL || argc < 2) {
            if (rx != NULL)
                dtmf_rx_free(rx);
            rx = dtmf_rx_init(NULL, digits, NULL);
        }
        double began = cpu_ns();
        for (uint32_t at = 0; at < len; at += 160)
            dtmf_rx(rx, pcm + at, len - at < 160 ? (int) (len - at) : 160);
        double took = cpu_ns() - began;
        heard[count] = 0;
        printf("%s %.0f\n", heard, took);
        fflush(stdout);
    }
    return 0;
}
