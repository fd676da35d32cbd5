/* The card's clock and pointer; see simcard.h. */
#include "simcard.h"
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct card *simcards;

int64_t true_time(void)
{
	struct timespec t;
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

uint64_t round_up(uint64_t n, uint64_t step) { return (n + step - 1) / step * step; }

uint64_t played(const struct card *c, int64_t t)
{
	return c->t0 && t > c->t0 ? (uint64_t)((double)(t - c->t0) * c->rate) : 0;
}

uint64_t pointer_at(const struct card *c, int64_t t)
{
	return c->t0 ? played(c, t) / (uint64_t)c->grain * (uint64_t)c->grain + (uint64_t)c->queue : 0;
}

int64_t time_of(const struct card *c, uint64_t frame)
{
	uint64_t n = frame > (uint64_t)c->queue ? round_up(frame - (uint64_t)c->queue, (uint64_t)c->grain) : 0;
	return c->t0 + (int64_t)((double)n / c->rate) + 1;
}
