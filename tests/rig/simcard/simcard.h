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
 *
 * card.c is its clock and its pointer, record.c what it puts out, stamps.c the time stamps of its status, plugin.c what
 * alsa-lib calls.
 */
#ifndef SIMCARD_H
#define SIMCARD_H
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <stdint.h>
#include <sys/types.h>

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
	int64_t looked_at; /* true time at which it was last looked whether it is */

	int never_stop, silence, stamp_clock;
	snd_pcm_uframes_t wake_at;

	uint64_t seen;          /* pointer and ... */
	snd_pcm_sframes_t seen_delay;
	int64_t seen_at;        /* ... true time of its last movement, as the kernel would have noted it */
};

/* Nothing of this is for the program that the library is preloaded into. */
#pragma GCC visibility push(hidden)

/* All open cards. */
extern struct card *simcards;

/* card.c */
int64_t true_time(void);
uint64_t round_up(uint64_t n, uint64_t step);
uint64_t played(const struct card *c, int64_t t);     /* frames that have passed the card's clock by true time t */
uint64_t pointer_at(const struct card *c, int64_t t); /* the DMA pointer as the driver reports it */
int64_t time_of(const struct card *c, uint64_t frame); /* true time at which the pointer gets to a frame */

/* record.c */
int open_record(struct card *c);
size_t frame_bytes(const struct card *c);
off_t offset_of(const struct card *c, uint64_t frame);
void put(struct card *c, const void *data, uint64_t frames, uint64_t at);
void echo(struct card *c, uint64_t pointer);
int begin_segment(struct card *c);
void end_segment(struct card *c, int xrun);

#pragma GCC visibility pop
#endif
