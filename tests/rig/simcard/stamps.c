/* The time stamps of the card's status, as Linux makes them; see simcard.h. Works when this library is preloaded. */
#include "simcard.h"
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

/* struct snd_pcm_status is opaque in alsa-lib; it is the kernel's, whose beginning never changes. */
struct status {
	int state;
	struct timespec trigger_tstamp, tstamp;
	unsigned long appl_ptr, hw_ptr;
	long delay;
	unsigned long avail, avail_max, overrange;
	int suspended_state;
	uint32_t audio_tstamp_data;
};
#define REPORT_DELAY (1u << 4)

/* What the host's clock reads at true time `t`, a moment ago. */
static struct timespec host_time(clockid_t clock, int64_t t)
{
	struct timespec h;
	int64_t best = INT64_MAX, host = 0;
	for (int i = 0; i < 3 && best > 1000; i++) {
		int64_t before = true_time();
		clock_gettime(clock, &h);
		int64_t after = true_time();
		if (after - before >= best)
			continue;
		best = after - before;
		host = h.tv_sec * SECOND + h.tv_nsec - (before + after) / 2 + t;
	}
	return (struct timespec){ host / SECOND, host % SECOND };
}

/* When did the kernel see the pointer get to where it is now? At a period interrupt, or only at this call. */
static int64_t noted_at(const struct card *c, uint64_t pointer)
{
	uint64_t period = c->io.period_size, boundary = pointer / period * period;
	int64_t interrupt = time_of(c, boundary) + (int64_t)(c->irq_us * 1e3);
	int seen_by_interrupt = interrupt > c->seen_at && interrupt <= c->read_at && pointer_at(c, interrupt) == pointer;
	return seen_by_interrupt ? interrupt : c->read_at;
}

int snd_pcm_status(snd_pcm_t *pcm, snd_pcm_status_t *opaque)
{
	static int (*next)(snd_pcm_t *, snd_pcm_status_t *);
	struct status *s = (struct status *)opaque;
	struct card *c = simcards;
	if (!next)
		next = (int (*)(snd_pcm_t *, snd_pcm_status_t *))dlsym(RTLD_NEXT, "snd_pcm_status");
	while (c && c->io.pcm != pcm)
		c = c->next;
	if (!c || !c->kernel_stamps)
		return next(pcm, opaque);
	int with_delay = (s->audio_tstamp_data & REPORT_DELAY) != 0;
	c->in_status = 1;
	int err = next(pcm, opaque);
	c->in_status = 0;
	if (c->gone)
		return -ENODEV;
	if (err < 0 || !c->t0)
		return err;
	snd_pcm_sframes_t ahead = s->delay - (snd_pcm_sframes_t)(s->appl_ptr - s->hw_ptr);
	if (s->hw_ptr != c->seen)
		c->seen_at = noted_at(c, s->hw_ptr);
	else if (with_delay && ahead != c->seen_delay)
		c->seen_at = c->read_at;
	c->seen = s->hw_ptr;
	c->seen_delay = ahead;
	s->tstamp = host_time(c->stamp_clock, c->seen_at);
	return 0;
}
