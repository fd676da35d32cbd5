/* A simulated sound card's input: an ALSA I/O plugin that hears a file, by a sample clock of its own.
 *
 *   pcm_type.simmic { lib "/path/simmic.so" }
 *   pcm.simmic { type simmic  file "/path/sound.s16"  ppm 80.0 }
 *
 *   file    raw S16_LE stereo, heard over and over; required
 *   ppm     error of the sample clock against true time
 *
 * When it is started, the true time of its frame 0 is written to FILE.began.
 *
 * True time is CLOCK_MONOTONIC_RAW. As with hardware, a ring that nobody empties runs over (EPIPE).
 */
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define FRAME 4

struct mic {
	snd_pcm_ioplug_t io;
	double ppm;
	const char *sound;
	char began[4096];
	size_t frames;          /* of the file */
	int64_t t0;             /* true time of frame 0; 0 while stopped */
	uint64_t read;          /* frames handed over */
	int timer_fd;
};

static int64_t true_time(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static uint64_t heard(const struct mic *m)
{
	double rate = m->io.rate * (1 + m->ppm * 1e-6) / SECOND;
	return m->t0 ? (uint64_t)((double)(true_time() - m->t0) * rate) : 0;
}

static int mic_start(snd_pcm_ioplug_t *io)
{
	struct mic *m = io->private_data;
	long period = (long)(io->period_size * SECOND / io->rate);
	struct itimerspec timer = { { 0, period }, { 0, period } };
	m->t0 = true_time();
	m->read = 0;
	FILE *note = fopen(m->began, "w");
	if (note) {
		fprintf(note, "%lld\n", (long long)m->t0);
		fclose(note);
	}
	return timerfd_settime(m->timer_fd, 0, &timer, NULL) < 0 ? -errno : 0;
}

static int mic_stop(snd_pcm_ioplug_t *io)
{
	struct mic *m = io->private_data;
	struct itimerspec timer = { { 0, 0 }, { 0, 0 } };
	m->t0 = 0;
	return timerfd_settime(m->timer_fd, 0, &timer, NULL) < 0 ? -errno : 0;
}

static snd_pcm_sframes_t mic_pointer(snd_pcm_ioplug_t *io)
{
	struct mic *m = io->private_data;
	uint64_t n = heard(m);
	if (n > m->read + io->buffer_size)
		return -EPIPE;
	return (snd_pcm_sframes_t)(n % io->buffer_size);
}

static snd_pcm_sframes_t mic_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
				      snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
	struct mic *m = io->private_data;
	char *to = (char *)areas->addr + areas->first / 8 + offset * FRAME;
	for (snd_pcm_uframes_t n = 0; n < size; n++, m->read++)
		memcpy(to + n * FRAME, m->sound + m->read % m->frames * FRAME, FRAME);
	return (snd_pcm_sframes_t)size;
}

static int mic_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned int count, unsigned short *revents)
{
	struct mic *m = io->private_data;
	uint64_t ticks;
	(void)count;
	if ((fds[0].revents & POLLIN) && read(m->timer_fd, &ticks, sizeof ticks) < 0 && errno != EAGAIN)
		return -errno;
	*revents = m->t0 && heard(m) >= m->read + io->period_size ? POLLIN : 0;
	return 0;
}

static int mic_close(snd_pcm_ioplug_t *io)
{
	struct mic *m = io->private_data;
	munmap((void *)m->sound, m->frames * FRAME);
	close(m->timer_fd);
	free(m);
	return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
	.start = mic_start, .stop = mic_stop, .pointer = mic_pointer, .transfer = mic_transfer, .close = mic_close,
	.poll_revents = mic_poll_revents,
};

static int listen_to(struct mic *m, const char *path)
{
	struct stat about;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &about) < 0 || about.st_size < FRAME) {
		close(fd);
		return -EINVAL;
	}
	m->frames = (size_t)about.st_size / FRAME;
	void *sound = mmap(NULL, m->frames * FRAME, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	m->sound = sound;
	return sound == MAP_FAILED ? -errno : 0;
}

static int allow(snd_pcm_ioplug_t *io)
{
	static const unsigned int access[] = { SND_PCM_ACCESS_RW_INTERLEAVED };
	static const unsigned int formats[] = { SND_PCM_FORMAT_S16_LE };
	static const struct { int what; unsigned int min, max; } ranges[] = {
		{ SND_PCM_IOPLUG_HW_CHANNELS, 2, 2 }, { SND_PCM_IOPLUG_HW_RATE, 44100, 96000 },
		{ SND_PCM_IOPLUG_HW_PERIODS, 2, 1024 }, { SND_PCM_IOPLUG_HW_PERIOD_BYTES, 64, 1 << 16 },
		{ SND_PCM_IOPLUG_HW_BUFFER_BYTES, 256, 1 << 20 },
	};
	int err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 1, access);
	if (err >= 0)
		err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, formats);
	for (size_t i = 0; err >= 0 && i < sizeof ranges / sizeof *ranges; i++)
		err = snd_pcm_ioplug_set_param_minmax(io, ranges[i].what, ranges[i].min, ranges[i].max);
	return err;
}

SND_PCM_PLUGIN_DEFINE_FUNC(simmic)
{
	(void)root;
	const char *id, *file = NULL;
	double ppm = 0;
	snd_config_iterator_t i, next;
	if (stream != SND_PCM_STREAM_CAPTURE)
		return -EINVAL;
	snd_config_for_each(i, next, conf) {
		snd_config_t *n = snd_config_iterator_entry(i);
		long whole;
		if (snd_config_get_id(n, &id) < 0)
			continue;
		if (!strcmp(id, "file"))
			snd_config_get_string(n, &file);
		else if (!strcmp(id, "ppm") && snd_config_get_real(n, &ppm) < 0 && snd_config_get_integer(n, &whole) == 0)
			ppm = (double)whole;
	}
	struct mic *m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	m->ppm = ppm;
	snprintf(m->began, sizeof m->began, "%s.began", file ? file : "");
	int err = file ? listen_to(m, file) : -EINVAL;
	if (err < 0) {
		SNDERR("simmic: %s: %s", file ? file : "file is missing", strerror(-err));
		free(m);
		return err;
	}
	m->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	m->io.version = SND_PCM_IOPLUG_VERSION;
	m->io.name = "simulated input";
	m->io.poll_fd = m->timer_fd;
	m->io.poll_events = POLLIN;
	m->io.callback = &callbacks;
	m->io.private_data = m;
	err = m->timer_fd < 0 ? -errno : snd_pcm_ioplug_create(&m->io, name, stream, mode);
	if (err < 0) {
		munmap((void *)m->sound, m->frames * FRAME);
		close(m->timer_fd);
		free(m);
		return err;
	}
	if ((err = allow(&m->io)) < 0) {
		snd_pcm_ioplug_delete(&m->io);
		return err;
	}
	*pcmp = m->io.pcm;
	return 0;
}
SND_PCM_PLUGIN_SYMBOL(simmic);
