// What Go calls. Each function does one job whole, so that a run costs two crossings into C. Functions return a status of
// the library's, NULL for success, unless they say otherwise.

#ifndef TSGO_ORT_SHIM_H
#define TSGO_ORT_SHIM_H

#include "api.h"

typedef const void *const *tsgo_api;

enum { tsgo_max_rank = 32 };

// Opening, in open_unix.c and open_windows.c: telemetry is off before any code of the library runs. On failure base is NULL
// and error says why, to be freed. The path is as the system wants it.
typedef struct {
  const tsgo_api_base *base;
  char *error;
} tsgo_library;
tsgo_library tsgo_open(const char *path);
void tsgo_no_telemetry(void);

// A process has one runtime: claim returns false while it is claimed.
bool tsgo_claim(void);
void tsgo_unclaim(void);

const char *tsgo_version(const tsgo_api_base *base);
tsgo_api tsgo_get_api(const tsgo_api_base *base, uint32_t version);

unsigned tsgo_status(tsgo_api api, const OrtStatus *status, const char **message);
void tsgo_release_status(tsgo_api api, OrtStatus *status);

// The environment, whose lines go to Go's tsgoORTLog with the given handle.
OrtStatus *tsgo_create_env(tsgo_api api, uintptr_t logger, unsigned severity, OrtEnv **env);
void tsgo_release_env(tsgo_api api, OrtEnv *env);
OrtStatus *tsgo_providers(tsgo_api api, char ***names, int *count);
void tsgo_release_providers(tsgo_api api, char **names, int count);

typedef struct {
  int intra_threads, inter_threads;
  unsigned execution_mode, optimization;
  bool deterministic;
} tsgo_options;
OrtStatus *tsgo_create_options(tsgo_api api, tsgo_options o, OrtSessionOptions **options);
void tsgo_cancel_load(tsgo_api api, OrtSessionOptions *options);
void tsgo_release_options(tsgo_api api, OrtSessionOptions *options);

// A session with the names of its inputs and outputs, which Run wants. A path is as the system wants it; NULL: from data.
typedef struct {
  OrtSession *session;
  OrtMemoryInfo *memory;
  char **names[2];  // of inputs, of outputs
  size_t counts[2];
  void *mark;  // in the heap that it was loaded into
} tsgo_session;
OrtStatus *tsgo_create_session(tsgo_api api, const OrtEnv *env, const char *path, const void *data, size_t size,
                               const OrtSessionOptions *options, tsgo_session *s);
void tsgo_release_session(tsgo_api api, tsgo_session *s);

// What the network says of one input (side 0) or output (side 1). Symbols live until info is released.
typedef struct {
  OrtTypeInfo *info;
  unsigned type;  // 0: not a tensor
  bool has_shape;
  size_t rank;
  int64_t dims[tsgo_max_rank];
  const char *symbols[tsgo_max_rank];
} tsgo_value_info;
OrtStatus *tsgo_describe(tsgo_api api, const tsgo_session *s, int side, size_t index, tsgo_value_info *v);
void tsgo_release_info(tsgo_api api, tsgo_value_info *v);

// The network's metadata. Texts are freed with tsgo_free, and NULL where there are none.
enum { tsgo_producer, tsgo_graph, tsgo_domain, tsgo_description, tsgo_custom };
OrtStatus *tsgo_open_metadata(tsgo_api api, const tsgo_session *s, OrtModelMetadata **m);
OrtStatus *tsgo_metadata(tsgo_api api, const OrtModelMetadata *m, int which, const char *key, char **text);
OrtStatus *tsgo_metadata_keys(tsgo_api api, const OrtModelMetadata *m, char ***keys, int64_t *count);
OrtStatus *tsgo_metadata_version(tsgo_api api, const OrtModelMetadata *m, int64_t *version);
void tsgo_release_metadata(tsgo_api api, OrtModelMetadata *m);
void tsgo_free(tsgo_api api, void *p);

// A tensor on its way in: its bytes are used in place; strings stand end to end, string i from offsets[i] to offsets[i+1].
typedef struct {
  void *data;
  size_t size;
  const int64_t *dims;
  size_t rank;
  const size_t *offsets;
  size_t count;
  unsigned type;
} tsgo_in;

// A value on its way out. A type of 0 is not a tensor. Released with tsgo_release_outputs.
typedef struct {
  OrtValue *value;
  void *data;  // NULL for strings
  size_t count, rank;
  int64_t dims[tsgo_max_rank];
  unsigned type;
  size_t index;  // which output is wanted, set by the caller
} tsgo_out;

OrtStatus *tsgo_create_run(tsgo_api api, OrtRunOptions **run);
void tsgo_terminate_run(tsgo_api api, OrtRunOptions *run);
void tsgo_release_run(tsgo_api api, OrtRunOptions *run);
OrtStatus *tsgo_run(tsgo_api api, const tsgo_session *s, const OrtRunOptions *run, const tsgo_in *in, tsgo_out *out,
                    size_t wanted);
void tsgo_release_outputs(tsgo_api api, tsgo_out *out, size_t count);
OrtStatus *tsgo_string_bytes(tsgo_api api, const OrtValue *value, size_t *size);
OrtStatus *tsgo_strings(tsgo_api api, const OrtValue *value, void *bytes, size_t size, size_t *offsets, size_t count);

// What the C library does with memory that is free: see memory.c. The mark that a load ends with belongs to whoever trims.
void tsgo_tune(int heaps);
void tsgo_begin_load(void);
void *tsgo_end_load(void);
void tsgo_trim(void *mark);

#endif
