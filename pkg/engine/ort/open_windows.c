//go:build cgo

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include "shim.h"

// Both the process's environment and the C library's copy of it are set: a library may read either.
void tsgo_no_telemetry(void) {
  SetEnvironmentVariableA("ORT_DISABLE_TELEMETRY", "1");
  _putenv("ORT_DISABLE_TELEMETRY=1");
}

static tsgo_library failure(const char *what) {
  char message[128];
  snprintf(message, sizeof message, "%s: Windows error %lu", what, GetLastError());
  return (tsgo_library){NULL, _strdup(message)};
}

tsgo_library tsgo_open(const char *path) {
  tsgo_no_telemetry();
  HMODULE handle = LoadLibraryExW((const wchar_t *)path, NULL, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (handle == NULL) return failure("LoadLibrary");
  const tsgo_api_base *(*entry)(void) = (const tsgo_api_base *(*)(void))GetProcAddress(handle, "OrtGetApiBase");
  if (entry == NULL) {
    tsgo_library failed = failure("OrtGetApiBase");
    FreeLibrary(handle);
    return failed;
  }
  return (tsgo_library){entry(), NULL};  // the library stays open as long as the process lives
}
