//go:build cgo && !windows

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

void tsgo_no_telemetry(void) { setenv("ORT_DISABLE_TELEMETRY", "1", 1); }

static tsgo_library failure(void) {
  const char *message = dlerror();
  return (tsgo_library){NULL, strdup(message != NULL ? message : "unknown failure")};
}

tsgo_library tsgo_open(const char *path) {
  tsgo_no_telemetry();
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);  // now: what is missing is told here, and not when it is called
  if (handle == NULL) return failure();
  const tsgo_api_base *(*entry)(void) = (const tsgo_api_base *(*)(void))dlsym(handle, "OrtGetApiBase");
  if (entry == NULL) {
    tsgo_library failed = failure();
    dlclose(handle);
    return failed;
  }
  return (tsgo_library){entry(), NULL};  // the library stays open as long as the process lives
}
