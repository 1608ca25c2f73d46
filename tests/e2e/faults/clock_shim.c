/*
 * Preloaded into the sidecar by clock_test.ts: adds to the wall clock the seconds that the file $CLOCK_OFFSET_FILE
 * holds, read at every call, so that a test can step the clock of one process and of no other. Monotonic clocks stay.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset_seconds(void) {
  static int fd = -2;
  if (fd == -2) fd = getenv("CLOCK_OFFSET_FILE") ? open(getenv("CLOCK_OFFSET_FILE"), O_RDONLY | O_CLOEXEC) : -1;
  char text[32] = {0};
  if (fd < 0 || pread(fd, text, sizeof text - 1, 0) <= 0) return 0;
  return atol(text);
}

int clock_gettime(clockid_t id, struct timespec *ts) {
  int result = (int)syscall(SYS_clock_gettime, id, ts);
  if (result == 0 && id == CLOCK_REALTIME) ts->tv_sec += offset_seconds();
  return result;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz) {
  (void)tz;
  struct timespec ts;
  int result = clock_gettime(CLOCK_REALTIME, &ts);
  tv->tv_sec = ts.tv_sec;
  tv->tv_usec = ts.tv_nsec / 1000;
  return result;
}

time_t time(time_t *out) {
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  if (out) *out = ts.tv_sec;
  return ts.tv_sec;
}
