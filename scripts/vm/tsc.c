// Prints the frequency of this processor's time stamp counter in kHz. boot.sh tells it to the machine's kernel.
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

struct moment {
  uint64_t nanoseconds;
  uint64_t ticks;
};

static uint64_t clock_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Of many readings of the clock with the counter's before and after, that with the least between.
static struct moment read_both(void) {
  struct moment best = {0, 0};
  uint64_t least = UINT64_MAX;
  for (int i = 0; i < 1000; i++) {
    uint64_t before = __rdtsc(), now = clock_now(), after = __rdtsc();
    if (after - before < least) {
      least = after - before;
      best = (struct moment){now, before + least / 2};
    }
  }
  return best;
}

int main(void) {
  struct timespec wait = {0, 100000000};
  struct moment begin = read_both();
  nanosleep(&wait, NULL);
  struct moment end = read_both();
  double seconds = (double)(end.nanoseconds - begin.nanoseconds) / 1e9;
  printf("%.0f\n", (double)(end.ticks - begin.ticks) / seconds / 1e3);
  return 0;
}
