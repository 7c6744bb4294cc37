//go:build cgo

// What is said here is of glibc. Other C libraries are left as they are.

#include "shim.h"

#include <stdlib.h>

#ifdef __GLIBC__

#include <malloc.h>
#include <pthread.h>

// Sizes in bytes. A block from some size on comes from the system, and goes back to it as soon as it is freed: large
// while networks run, huge while one is loaded. Loading copies the weights several times over, and a page that comes from
// the system costs more than what is copied into it. What is free at the end of a heap is kept when it is less than spare.
enum { large = 4 << 20, huge = 16 << 20, spare = 4 << 20, little = 64 << 10 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  // guards the settings
static int loading;

// tsgo_tune bounds the heaps, of which each keeps some memory that is free: more threads than there are cores do not run
// at once. Left alone, glibc raises both sizes with every large block that is freed, and then keeps as much in each heap.
void tsgo_tune(int heaps) {
  mallopt(M_ARENA_MAX, heaps);
  mallopt(M_MMAP_THRESHOLD, large);
  mallopt(M_TRIM_THRESHOLD, spare);
}

void tsgo_begin_load(void) {
  pthread_mutex_lock(&lock);
  if (loading++ == 0) mallopt(M_MMAP_THRESHOLD, huge);
  pthread_mutex_unlock(&lock);
}

// tsgo_end_load is called by the thread that began, whose heap has the file's bytes and what rewriting the graph left.
void *tsgo_end_load(void) {
  pthread_mutex_lock(&lock);
  if (--loading == 0) mallopt(M_MMAP_THRESHOLD, large);
  pthread_mutex_unlock(&lock);
  tsgo_trim(malloc(2 * little));
  return malloc(2 * little);
}

// tsgo_trim gives free memory back: malloc_trim that between blocks, in every heap; freeing a mark, which is large enough
// for glibc to look, that at the end of the mark's heap, where malloc_trim leaves it.
void tsgo_trim(void *mark) {
  malloc_trim(0);
  pthread_mutex_lock(&lock);
  mallopt(M_TRIM_THRESHOLD, little);
  free(mark);
  mallopt(M_TRIM_THRESHOLD, spare);
  pthread_mutex_unlock(&lock);
}

#else

void tsgo_tune(int heaps) { (void)heaps; }

void tsgo_begin_load(void) {}

void *tsgo_end_load(void) { return NULL; }

void tsgo_trim(void *mark) { free(mark); }

#endif
