/* A simulated sound card: an ALSA I/O plugin with a sample clock of its own.
 *
 *   pcm_type.simcard { lib "/path/simcard.so" }
 *   pcm.simcard { type simcard  record "/path/prefix"  ppm 40.0  grain 8 ... }
 *
 *   record    path prefix of what the card puts out, see below; required
 *   ppm       error of the sample clock against true time
 *   grain     frames by which the DMA pointer moves at a time (1: I2S with a fine residue; 240: whole periods)
 *   fifo      frames between the DMA pointer and the analog output that the driver does not report
 *   start_us  microseconds from the trigger to the first frame
 *   irq_us    latency of the period interrupt
 *   queue     USB: frames handed to the bus ahead of the output; the pointer runs ahead by them and `delay` reports
 *             them, in steps of one millisecond
 *   stamps    "kernel": status time is that of the last movement of the pointer that the kernel saw, as Linux does it
 *             (needs this library in LD_PRELOAD too); "reading": status time is that of the call, as alsa-lib's plugins
 *
 * True time is CLOCK_MONOTONIC_RAW read by a bare system call, so that a preloaded host clock (hostclock.c) can't fool
 * the card. PREFIX.pcm holds every frame of the analog output; PREFIX.seg one pair of lines for each start of the card:
 *
 *   S t0_ns rate_hz first_frame channels format fifo     frame n of the segment sounds at t0 + (n + fifo) / rate
 *   E frames xrun                                        how many frames it lasted; 1 where it ended in an underrun
 *
 * As with hardware: a stop_threshold at the boundary lets the card run on through an underrun, over silence if
 * silence_size is at the boundary and over what the ring last held if not; frames written behind the pointer are never
 * heard; forward and rewind move the place of the next write; while the file PREFIX.gone exists the card is unplugged:
 * it can't be opened, and one that was open is disconnected (ENODEV).
 */
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

struct card {
	snd_pcm_ioplug_t io;
	struct card *next;
	char *prefix;
	double ppm, start_us, irq_us;
	long grain, fifo, queue;
	int kernel_stamps;

	int pcm_fd, seg_fd, timer_fd;
	uint64_t first;         /* frame of PREFIX.pcm at which this segment begins */

	int64_t t0;             /* true time of frame 0 of this segment at the DMA pointer; 0 while stopped */
	double rate;            /* true frames per nanosecond */
	uint64_t written;       /* end of what the player, or the ring's echo, has put into this segment */
	int64_t read_at;        /* true time of the latest reading of the pointer */
	int in_status;          /* delay belongs to that reading */
	int gone;

	int never_stop, silence, stamp_clock;
	snd_pcm_uframes_t wake_at;

	uint64_t seen;          /* pointer and ... */
	snd_pcm_sframes_t seen_delay;
	int64_t seen_at;        /* ... true time of its last movement, as the kernel would have noted it */
};

static struct card *cards;

static int64_t true_time(void)
{
	struct timespec t;
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static uint64_t round_up(uint64_t n, uint64_t step) { return (n + step - 1) / step * step; }

/* Frames that have passed the card's clock by true time `t`. */
static uint64_t played(const struct card *c, int64_t t)
{
	return c->t0 && t > c->t0 ? (uint64_t)((double)(t - c->t0) * c->rate) : 0;
}

/* The DMA pointer as the driver reports it. */
static uint64_t pointer_at(const struct card *c, int64_t t)
{
	return c->t0 ? played(c, t) / (uint64_t)c->grain * (uint64_t)c->grain + (uint64_t)c->queue : 0;
}

/* True time at which the pointer gets to `frame`. */
static int64_t time_of(const struct card *c, uint64_t frame)
{
	uint64_t n = frame > (uint64_t)c->queue ? round_up(frame - (uint64_t)c->queue, (uint64_t)c->grain) : 0;
	return c->t0 + (int64_t)((double)n / c->rate) + 1;
}

static size_t frame_bytes(const struct card *c)
{
	return (size_t)snd_pcm_format_physical_width(c->io.format) / 8 * c->io.channels;
}

static off_t offset_of(const struct card *c, uint64_t frame) { return (off_t)((c->first + frame) * frame_bytes(c)); }

static void put(struct card *c, const void *data, uint64_t frames, uint64_t at)
{
	if (pwrite(c->pcm_fd, data, frames * frame_bytes(c), offset_of(c, at)) < 0)
		fprintf(stderr, "simcard: %s.pcm: %s\n", c->prefix, strerror(errno));
}

/* An underrun without silence_size: the DMA goes round the ring and repeats what it held. */
static void echo(struct card *c, uint64_t pointer)
{
	if (!c->never_stop || c->silence || c->written < c->io.buffer_size)
		return;
	char block[4096];
	uint64_t most = sizeof block / frame_bytes(c);
	while (c->written < pointer) {
		uint64_t n = pointer - c->written < most ? pointer - c->written : most;
		if (n > c->io.buffer_size)
			n = c->io.buffer_size;
		memset(block, 0, sizeof block);
		if (pread(c->pcm_fd, block, n * frame_bytes(c), offset_of(c, c->written - c->io.buffer_size)) < 0)
			return;
		put(c, block, n, c->written);
		c->written += n;
	}
}

static void note(struct card *c, const char *line)
{
	if (write(c->seg_fd, line, strlen(line)) < 0)
		fprintf(stderr, "simcard: %s.seg: %s\n", c->prefix, strerror(errno));
}

static void end_segment(struct card *c, int xrun)
{
	if (!c->t0)
		return;
	uint64_t n = played(c, true_time());
	if (!c->never_stop && n > c->written)
		n = c->written;
	char line[64];
	if (ftruncate(c->pcm_fd, offset_of(c, n)) < 0)
		fprintf(stderr, "simcard: %s.pcm: %s\n", c->prefix, strerror(errno));
	snprintf(line, sizeof line, "E %llu %d\n", (unsigned long long)n, xrun);
	note(c, line);
	c->t0 = 0;
}

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

static int unplugged(struct card *c)
{
	char path[4096];
	snprintf(path, sizeof path, "%s.gone", c->prefix);
	if (!c->gone && access(path, F_OK) != 0)
		return 0;
	c->gone = 1;
	end_segment(c, 0);
	if (c->io.pcm)
		snd_pcm_ioplug_set_state(&c->io, SND_PCM_STATE_DISCONNECTED);
	return 1;
}

static int card_start(snd_pcm_ioplug_t *io)
{
	struct card *c = io->private_data;
	struct stat s;
	char line[160];
	if (unplugged(c))
		return -ENODEV;
	c->rate = (double)io->rate * (1.0 + c->ppm * 1e-6) / 1e9;
	c->t0 = true_time() + (int64_t)(c->start_us * 1e3);
	c->seen = 0;
	c->seen_at = c->t0;
	snprintf(line, sizeof line, "S %lld %.9f %llu %u %s %ld\n", (long long)c->t0, c->rate * 1e9,
		 (unsigned long long)c->first, io->channels, snd_pcm_format_name(io->format), c->fifo);
	note(c, line);
	if (fstat(c->pcm_fd, &s) == 0 && s.st_size < offset_of(c, 0) && ftruncate(c->pcm_fd, offset_of(c, 0)) < 0)
		return -EIO;
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
	struct card *c = io->private_data, **link = &cards;
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
	struct card *c = cards;
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

static int open_record(struct card *c)
{
	char path[4096];
	snprintf(path, sizeof path, "%s.pcm", c->prefix);
	c->pcm_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	snprintf(path, sizeof path, "%s.seg", c->prefix);
	c->seg_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	return c->pcm_fd < 0 || c->seg_fd < 0 || c->timer_fd < 0 ? -errno : 0;
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
	c->next = cards;
	cards = c;
	if ((err = allow(&c->io)) < 0) {
		snd_pcm_ioplug_delete(&c->io);
		return err;
	}
	*pcmp = c->io.pcm;
	return 0;
}
SND_PCM_PLUGIN_SYMBOL(simcard);
