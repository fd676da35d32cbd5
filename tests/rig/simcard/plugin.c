/* What alsa-lib calls; see simcard.h. */
#include "simcard.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Sets the timer to the first period interrupt after which the player may write avail_min frames. */
static void arm(struct card *c, uint64_t appl_ptr)
{
	struct itimerspec when = { .it_value = { 0, 1000000 } };
	if (c->t0) {
		int64_t room_at = (int64_t)appl_ptr - (int64_t)c->io.buffer_size + (int64_t)c->wake_at;
		uint64_t interrupt = round_up(room_at > 0 ? (uint64_t)room_at : 0, c->io.period_size);
		int64_t wait = time_of(c, interrupt) + (int64_t)(c->irq_us * 1e3) - true_time();
		if (wait < 1)
			wait = 1;
		when.it_value = (struct timespec){ wait / SECOND, wait % SECOND };
	}
	syscall(SYS_timerfd_settime, c->timer_fd, 0, &when, NULL);
}

/* Whether the test pulled the card. Looked for now and then: a real card's status costs no walk through a file system. */
static int unplugged(struct card *c)
{
	char path[4096];
	int64_t now = true_time();
	if (!c->gone) {
		if (now - c->looked_at < SECOND / 20)
			return 0;
		c->looked_at = now;
		snprintf(path, sizeof path, "%s.gone", c->prefix);
		if (access(path, F_OK) != 0)
			return 0;
	}
	c->gone = 1;
	end_segment(c, 0);
	if (c->io.pcm)
		snd_pcm_ioplug_set_state(&c->io, SND_PCM_STATE_DISCONNECTED);
	return 1;
}

static int card_start(snd_pcm_ioplug_t *io)
{
	struct card *c = io->private_data;
	if (unplugged(c))
		return -ENODEV;
	c->rate = (double)io->rate * (1.0 + c->ppm * 1e-6) / 1e9;
	c->t0 = true_time() + (int64_t)(c->start_us * 1e3);
	c->seen = 0;
	c->seen_at = c->t0;
	int err = begin_segment(c);
	if (err < 0)
		return err;
	arm(c, c->io.appl_ptr);
	return 0;
}

static int card_stop(snd_pcm_ioplug_t *io)
{
	end_segment(io->private_data, 0);
	return 0;
}

static int card_prepare(snd_pcm_ioplug_t *io)
{
	struct card *c = io->private_data;
	struct stat s;
	if (unplugged(c))
		return -ENODEV;
	end_segment(c, 0);
	if (fstat(c->pcm_fd, &s) < 0)
		return -EIO;
	c->first = round_up((uint64_t)s.st_size, frame_bytes(c)) / frame_bytes(c);
	c->written = 0;
	arm(c, c->io.appl_ptr);
	return 0;
}

static int underrun(const struct card *c, uint64_t pointer) { return !c->never_stop && pointer > c->io.appl_ptr; }

static snd_pcm_sframes_t card_pointer(snd_pcm_ioplug_t *io)
{
	struct card *c = io->private_data;
	if (unplugged(c))
		return (snd_pcm_sframes_t)io->hw_ptr;
	c->read_at = true_time();
	if (!c->t0)
		return io->state == SND_PCM_STATE_RUNNING ? -EPIPE : 0;
	uint64_t n = pointer_at(c, c->read_at);
	if (underrun(c, n)) {
		if (io->state == SND_PCM_STATE_DRAINING)
			return (snd_pcm_sframes_t)io->appl_ptr;
		end_segment(c, 1);
		return -EPIPE;
	}
	echo(c, n);
	return (snd_pcm_sframes_t)n;
}

static int card_delay(snd_pcm_ioplug_t *io, snd_pcm_sframes_t *delay)
{
	struct card *c = io->private_data;
	int64_t t = c->in_status ? c->read_at : true_time();
	uint64_t out = pointer_at(c, t);
	if (c->queue && c->t0)
		out = played(c, t) / (io->rate / 1000) * (io->rate / 1000);
	*delay = (snd_pcm_sframes_t)((int64_t)io->appl_ptr - (int64_t)out);
	return 0;
}

static snd_pcm_sframes_t card_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
				       snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
	struct card *c = io->private_data;
	if (unplugged(c))
		return -ENODEV;
	const char *from = (const char *)areas->addr + (areas->first + areas->step * offset) / 8;
	uint64_t at = io->appl_ptr, pointer = pointer_at(c, true_time());
	uint64_t late = at < pointer ? pointer - at : 0;
	echo(c, pointer < at ? pointer : at);
	if (late < size)
		put(c, from + late * frame_bytes(c), size - late, at + late);
	if (at + size > c->written)
		c->written = at + size;
	arm(c, at + size);
	return (snd_pcm_sframes_t)size;
}

static int card_sw_params(snd_pcm_ioplug_t *io, snd_pcm_sw_params_t *p)
{
	struct card *c = io->private_data;
	snd_pcm_uframes_t stop = 0, silence = 0, boundary = 0;
	snd_pcm_tstamp_type_t type = SND_PCM_TSTAMP_TYPE_GETTIMEOFDAY;
	snd_pcm_sw_params_get_boundary(p, &boundary);
	snd_pcm_sw_params_get_stop_threshold(p, &stop);
	snd_pcm_sw_params_get_silence_size(p, &silence);
	snd_pcm_sw_params_get_avail_min(p, &c->wake_at);
	snd_pcm_sw_params_get_tstamp_type(p, &type);
	c->never_stop = stop >= boundary;
	c->silence = silence >= boundary;
	c->stamp_clock = type == SND_PCM_TSTAMP_TYPE_MONOTONIC_RAW ? CLOCK_MONOTONIC_RAW :
			 type == SND_PCM_TSTAMP_TYPE_MONOTONIC ? CLOCK_MONOTONIC : CLOCK_REALTIME;
	return 0;
}

static int card_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *pfd, unsigned int n, unsigned short *revents)
{
	struct card *c = io->private_data;
	uint64_t expirations;
	*revents = 0;
	if (n < 1 || !(pfd[0].revents & POLLIN))
		return 0;
	if (unplugged(c)) {
		*revents = POLLERR | POLLHUP;
		return 0;
	}
	uint64_t pointer = pointer_at(c, true_time());
	if (c->t0 && underrun(c, pointer)) {
		end_segment(c, 1);
		snd_pcm_ioplug_set_state(io, SND_PCM_STATE_XRUN);
	}
	if (!c->t0 && io->state == SND_PCM_STATE_XRUN) {
		*revents = POLLOUT | POLLERR;
		return 0;
	}
	int64_t avail = (int64_t)io->buffer_size - ((int64_t)io->appl_ptr - (int64_t)pointer);
	if (avail >= (c->t0 ? (int64_t)c->wake_at : 1)) {
		*revents = POLLOUT;
		return 0;
	}
	if (read(c->timer_fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
		return -errno;
	arm(c, c->io.appl_ptr);
	return 0;
}

static int card_poll_descriptors(snd_pcm_ioplug_t *io, struct pollfd *pfd, unsigned int space)
{
	struct card *c = io->private_data;
	if (space < 1)
		return 0;
	arm(c, c->io.appl_ptr);
	*pfd = (struct pollfd){ .fd = c->timer_fd, .events = POLLIN };
	return 1;
}

static int card_close(snd_pcm_ioplug_t *io)
{
	struct card *c = io->private_data, **link = &simcards;
	end_segment(c, 0);
	while (*link && *link != c)
		link = &(*link)->next;
	if (*link)
		*link = c->next;
	close(c->pcm_fd);
	close(c->seg_fd);
	close(c->timer_fd);
	free(c->prefix);
	free(c);
	return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
	.start = card_start, .stop = card_stop, .pointer = card_pointer, .transfer = card_transfer,
	.close = card_close, .prepare = card_prepare, .delay = card_delay, .sw_params = card_sw_params,
	.poll_descriptors = card_poll_descriptors, .poll_revents = card_poll_revents,
};

static int number(snd_config_t *n, double *value)
{
	long whole;
	if (snd_config_get_real(n, value) == 0)
		return 0;
	if (snd_config_get_integer(n, &whole) < 0)
		return -EINVAL;
	*value = (double)whole;
	return 0;
}

static int configure(struct card *c, snd_config_t *conf)
{
	snd_config_iterator_t i, next;
	snd_config_for_each(i, next, conf) {
		snd_config_t *n = snd_config_iterator_entry(i);
		const char *id, *text;
		double value;
		if (snd_config_get_id(n, &id) < 0 || !strcmp(id, "type") || !strcmp(id, "hint") || !strcmp(id, "comment"))
			continue;
		if (!strcmp(id, "record") && snd_config_get_string(n, &text) == 0) {
			c->prefix = strdup(text);
		} else if (!strcmp(id, "stamps") && snd_config_get_string(n, &text) == 0) {
			c->kernel_stamps = !strcmp(text, "kernel");
		} else if (number(n, &value) < 0) {
			SNDERR("simcard: %s: a number is needed", id);
			return -EINVAL;
		} else if (!strcmp(id, "ppm")) {
			c->ppm = value;
		} else if (!strcmp(id, "start_us")) {
			c->start_us = value;
		} else if (!strcmp(id, "irq_us")) {
			c->irq_us = value;
		} else if (!strcmp(id, "grain") && value >= 1) {
			c->grain = (long)value;
		} else if (!strcmp(id, "fifo")) {
			c->fifo = (long)value;
		} else if (!strcmp(id, "queue")) {
			c->queue = (long)value;
		} else {
			SNDERR("simcard: unknown or wrong field %s", id);
			return -EINVAL;
		}
	}
	return c->prefix ? 0 : -EINVAL;
}

static int allow(snd_pcm_ioplug_t *io)
{
	static const unsigned int access[] = { SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED };
	static const unsigned int formats[] = { SND_PCM_FORMAT_S16_LE, SND_PCM_FORMAT_S24_LE, SND_PCM_FORMAT_S32_LE };
	static const struct { int what; unsigned int min, max; } ranges[] = {
		{ SND_PCM_IOPLUG_HW_CHANNELS, 1, 8 }, { SND_PCM_IOPLUG_HW_RATE, 44100, 192000 },
		{ SND_PCM_IOPLUG_HW_PERIODS, 2, 1024 }, { SND_PCM_IOPLUG_HW_PERIOD_BYTES, 64, 1 << 18 },
		{ SND_PCM_IOPLUG_HW_BUFFER_BYTES, 256, 1 << 20 },
	};
	int err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 2, access);
	if (err >= 0)
		err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 3, formats);
	for (size_t i = 0; err >= 0 && i < sizeof ranges / sizeof *ranges; i++)
		err = snd_pcm_ioplug_set_param_minmax(io, ranges[i].what, ranges[i].min, ranges[i].max);
	return err;
}

SND_PCM_PLUGIN_DEFINE_FUNC(simcard)
{
	(void)root;
	if (stream != SND_PCM_STREAM_PLAYBACK)
		return -EINVAL;
	struct card *c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	*c = (struct card){ .grain = 8, .start_us = 300, .irq_us = 5, .pcm_fd = -1, .seg_fd = -1, .timer_fd = -1 };
	int err = configure(c, conf);
	if (err >= 0)
		err = unplugged(c) ? -ENODEV : open_record(c);
	if (err >= 0) {
		c->io.version = SND_PCM_IOPLUG_VERSION;
		c->io.name = "simulated sound card";
		c->io.poll_fd = c->timer_fd;
		c->io.poll_events = POLLIN;
		c->io.flags = SND_PCM_IOPLUG_FLAG_BOUNDARY_WA;
		c->io.callback = &callbacks;
		c->io.private_data = c;
		err = snd_pcm_ioplug_create(&c->io, name, stream, mode);
	}
	if (err < 0) {
		free(c->prefix);
		free(c);
		return err;
	}
	c->next = simcards;
	simcards = c;
	if ((err = allow(&c->io)) < 0) {
		snd_pcm_ioplug_delete(&c->io);
		return err;
	}
	*pcmp = c->io.pcm;
	return 0;
}
SND_PCM_PLUGIN_SYMBOL(simcard);
