/* A host clock of its own for one process (LD_PRELOAD), as if it ran on another machine.
 *
 *   HOSTCLOCK_PPM           rate error of its crystal: of every clock it reads and every time it waits for
 *   HOSTCLOCK_SLEW_PPM      further rate error of CLOCK_REALTIME and CLOCK_MONOTONIC, as a time daemon slews them;
 *                           CLOCK_MONOTONIC_RAW has none
 *   HOSTCLOCK_UPTIME_S      offset of all clocks but CLOCK_REALTIME: no two machines were started at the same instant
 *   HOSTCLOCK_REALTIME_MS   offset of CLOCK_REALTIME
 *   HOSTCLOCK_STEP_MS, HOSTCLOCK_STEP_AT_S   CLOCK_REALTIME steps by so much, so long after the anchor
 *   HOSTCLOCK_ANCHOR_NS     true CLOCK_MONOTONIC_RAW at which the rate errors begin to count (default: process start),
 *                           so that processes of one host, or one that is started again, share one clock
 *
 * Converts what is read, absolute times that are waited for, and the kernel's stamps on packets. It reaches whatever
 * goes through libc, futex calls by syscall() included; bare system calls read the true clock. 64-bit Linux.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define CLOCKS 12
#define MAX_FDS 1024

static struct {
	double rate;            /* ns a ns */
	int64_t anchor, offset; /* true reading of this clock at the anchor; what the host's reads more, then */
	int known;
} host[CLOCKS];
static int64_t step, step_at = INT64_MAX; /* step_at: true CLOCK_REALTIME */
static unsigned char timer_clock[MAX_FDS];
static int ready;

/* The next definition of the function this is used in: libc's. */
#define LIBC(name) \
	static __typeof__(&name) libc_##name; \
	if (!libc_##name) libc_##name = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int64_t ns(const struct timespec *t) { return t->tv_sec * SECOND + t->tv_nsec; }

static struct timespec timespec_of(int64_t n)
{
	struct timespec t = { n / SECOND, n % SECOND };
	if (t.tv_nsec < 0) {
		t.tv_sec -= 1;
		t.tv_nsec += SECOND;
	}
	return t;
}

static double setting(const char *name, double otherwise)
{
	const char *text = getenv(name);
	return text && *text ? atof(text) : otherwise;
}

static int64_t true_reading(clockid_t clock)
{
	struct timespec t = { 0, 0 };
	static long (*libc_syscall)(long, ...);
	if (!libc_syscall)
		libc_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	libc_syscall(SYS_clock_gettime, clock, &t);
	return ns(&t);
}

__attribute__((constructor)) static void read_settings(void)
{
	static const clockid_t of_host[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
					     CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI };
	if (ready)
		return;
	const char *anchor = getenv("HOSTCLOCK_ANCHOR_NS");
	int64_t now = true_reading(CLOCK_MONOTONIC_RAW), age = anchor ? now - atoll(anchor) : 0;
	double crystal = setting("HOSTCLOCK_PPM", 0) * 1e-6, slew = setting("HOSTCLOCK_SLEW_PPM", 0) * 1e-6;
	for (size_t i = 0; i < sizeof of_host / sizeof *of_host; i++) {
		clockid_t c = of_host[i];
		int wall = c == CLOCK_REALTIME || c == CLOCK_REALTIME_COARSE || c == CLOCK_TAI;
		host[c].rate = c == CLOCK_MONOTONIC_RAW ? crystal : (1 + crystal) * (1 + slew) - 1;
		host[c].anchor = true_reading(c) - age;
		host[c].offset = wall ? (int64_t)(setting("HOSTCLOCK_REALTIME_MS", 0) * 1e6)
				      : (int64_t)(setting("HOSTCLOCK_UPTIME_S", 0) * 1e9);
		host[c].known = 1;
	}
	step = (int64_t)(setting("HOSTCLOCK_STEP_MS", 0) * 1e6);
	if (step)
		step_at = host[CLOCK_REALTIME].anchor + (int64_t)(setting("HOSTCLOCK_STEP_AT_S", 0) * 1e9);
	ready = 1;
}

static int ours(clockid_t c) { return c >= 0 && c < CLOCKS && host[c].known; }
static int steps(clockid_t c) { return c == CLOCK_REALTIME || c == CLOCK_REALTIME_COARSE || c == CLOCK_TAI; }

/* What the host's clock reads when the true one reads `t`. */
static int64_t to_host(clockid_t c, int64_t t)
{
	if (!ours(c))
		return t;
	int64_t h = t + host[c].offset + (int64_t)((double)(t - host[c].anchor) * host[c].rate);
	return steps(c) && t >= step_at ? h + step : h;
}

/* What the true clock reads when the host's reads `h`. */
static int64_t to_true(clockid_t c, int64_t h)
{
	if (!ours(c))
		return h;
	if (steps(c) && true_reading(c) >= step_at)
		h -= step;
	int64_t since = h - host[c].offset - host[c].anchor;
	return host[c].anchor + since - (int64_t)((double)since * (host[c].rate / (1 + host[c].rate)));
}

static struct timespec true_wait(clockid_t c, const struct timespec *t) { return timespec_of(to_true(c, ns(t))); }
static struct timespec true_span(clockid_t c, const struct timespec *t)
{
	return ours(c) ? timespec_of((int64_t)((double)ns(t) / (1 + host[c].rate))) : *t;
}

int clock_gettime(clockid_t c, struct timespec *t)
{
	LIBC(clock_gettime);
	read_settings();
	int err = libc_clock_gettime(c, t);
	if (err == 0 && ours(c))
		*t = timespec_of(to_host(c, ns(t)));
	return err;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*t = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
	return 0;
}

time_t time(time_t *t)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (t)
		*t = now.tv_sec;
	return now.tv_sec;
}

int timespec_get(struct timespec *t, int base) { return clock_gettime(CLOCK_REALTIME, t) == 0 ? base : 0; }

int clock_nanosleep(clockid_t c, int flags, const struct timespec *t, struct timespec *left)
{
	LIBC(clock_nanosleep);
	read_settings();
	struct timespec wait = flags & TIMER_ABSTIME ? true_wait(c, t) : true_span(c, t);
	return libc_clock_nanosleep(c, flags, &wait, left);
}

int nanosleep(const struct timespec *t, struct timespec *left)
{
	LIBC(nanosleep);
	read_settings();
	struct timespec wait = true_span(CLOCK_MONOTONIC, t);
	return libc_nanosleep(&wait, left);
}

int timerfd_create(clockid_t c, int flags)
{
	LIBC(timerfd_create);
	int fd = libc_timerfd_create(c, flags);
	if (fd >= 0 && fd < MAX_FDS)
		timer_clock[fd] = (unsigned char)c;
	return fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *t, struct itimerspec *old)
{
	LIBC(timerfd_settime);
	read_settings();
	struct itimerspec wait = *t;
	clockid_t c = fd >= 0 && fd < MAX_FDS ? timer_clock[fd] : CLOCK_MONOTONIC;
	if (ns(&t->it_value))
		wait.it_value = flags & TFD_TIMER_ABSTIME ? true_wait(c, &t->it_value) : true_span(c, &t->it_value);
	wait.it_interval = true_span(c, &t->it_interval);
	return libc_timerfd_settime(fd, flags, &wait, old);
}

int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *lock, clockid_t c, const struct timespec *t)
{
	LIBC(pthread_cond_clockwait);
	read_settings();
	struct timespec wait = true_wait(c, t);
	return libc_pthread_cond_clockwait(cond, lock, c, &wait);
}

/* The clock of a condition is not to be had from outside; wall time and uptime are decades apart. */
static clockid_t clock_of(const struct timespec *t)
{
	return t->tv_sec > 1000000000 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict lock,
			   const struct timespec *restrict t)
{
	/* dlsym alone gives the oldest version, which takes another pthread_cond_t */
	static int (*libc)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
	if (!libc)
		libc = (__typeof__(libc))dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
	if (!libc)
		libc = (__typeof__(libc))dlsym(RTLD_NEXT, "pthread_cond_timedwait");
	read_settings();
	struct timespec wait = true_wait(clock_of(t), t);
	return libc(cond, lock, &wait);
}

int sem_timedwait(sem_t *restrict s, const struct timespec *restrict t)
{
	LIBC(sem_timedwait);
	read_settings();
	struct timespec wait = true_wait(CLOCK_REALTIME, t);
	return libc_sem_timedwait(s, &wait);
}

int sem_clockwait(sem_t *restrict s, clockid_t c, const struct timespec *restrict t)
{
	LIBC(sem_clockwait);
	read_settings();
	struct timespec wait = true_wait(c, t);
	return libc_sem_clockwait(s, c, &wait);
}

/* Rust's std parks threads by syscall(SYS_futex, FUTEX_WAIT_BITSET) with an absolute time. */
long syscall(long number, ...)
{
	LIBC(syscall);
	long a[6];
	struct timespec wait;
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (ready && number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && a[3]) {
		clockid_t c = a[1] & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
		wait = true_wait(c, (const struct timespec *)a[3]);
		a[3] = (long)&wait;
	}
	return libc_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void convert_stamps(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_TIMESTAMPNS || c->cmsg_type == SCM_TIMESTAMPING) {
			struct timespec *t = (struct timespec *)CMSG_DATA(c);
			for (int i = 0; i < (c->cmsg_type == SCM_TIMESTAMPING ? 3 : 1); i++)
				if (ns(&t[i]))
					t[i] = timespec_of(to_host(CLOCK_REALTIME, ns(&t[i])));
		} else if (c->cmsg_type == SCM_TIMESTAMP) {
			struct timeval *t = (struct timeval *)CMSG_DATA(c);
			int64_t h = to_host(CLOCK_REALTIME, t->tv_sec * SECOND + t->tv_usec * 1000);
			*t = (struct timeval){ h / SECOND, h % SECOND / 1000 };
		}
	}
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	LIBC(recvmsg);
	read_settings();
	ssize_t n = libc_recvmsg(fd, m, flags);
	if (n >= 0)
		convert_stamps(m);
	return n;
}

int recvmmsg(int fd, struct mmsghdr *m, unsigned int count, int flags, struct timespec *timeout)
{
	LIBC(recvmmsg);
	read_settings();
	int n = libc_recvmmsg(fd, m, count, flags, timeout);
	for (int i = 0; i < n; i++)
		convert_stamps(&m[i].msg_hdr);
	return n;
}
