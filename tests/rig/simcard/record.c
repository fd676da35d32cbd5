/* What the card puts out: PREFIX.pcm and PREFIX.seg; see simcard.h. */
#include "simcard.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

int open_record(struct card *c)
{
	char path[4096];
	snprintf(path, sizeof path, "%s.pcm", c->prefix);
	c->pcm_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	snprintf(path, sizeof path, "%s.seg", c->prefix);
	c->seg_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	return c->pcm_fd < 0 || c->seg_fd < 0 || c->timer_fd < 0 ? -errno : 0;
}

size_t frame_bytes(const struct card *c)
{
	return (size_t)snd_pcm_format_physical_width(c->io.format) / 8 * c->io.channels;
}

off_t offset_of(const struct card *c, uint64_t frame) { return (off_t)((c->first + frame) * frame_bytes(c)); }

void put(struct card *c, const void *data, uint64_t frames, uint64_t at)
{
	if (pwrite(c->pcm_fd, data, frames * frame_bytes(c), offset_of(c, at)) < 0)
		fprintf(stderr, "simcard: %s.pcm: %s\n", c->prefix, strerror(errno));
}

/* An underrun without silence_size: the DMA goes round the ring and repeats what it held. */
void echo(struct card *c, uint64_t pointer)
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

/* Frame 0 of a segment sounds at t0: all that the card plays from then on follows `first`. */
int begin_segment(struct card *c)
{
	char line[160];
	struct stat s;
	snprintf(line, sizeof line, "S %lld %.9f %llu %u %s %ld\n", (long long)c->t0, c->rate * 1e9,
		 (unsigned long long)c->first, c->io.channels, snd_pcm_format_name(c->io.format), c->fifo);
	note(c, line);
	if (fstat(c->pcm_fd, &s) == 0 && s.st_size < offset_of(c, 0) && ftruncate(c->pcm_fd, offset_of(c, 0)) < 0)
		return -EIO;
	return 0;
}

void end_segment(struct card *c, int xrun)
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
