//go:build cgo

#include "shim.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

// TRY returns from a function whose only resources belong to its caller.
#define TRY(call)                     \
  do {                                \
    OrtStatus *failed = (call);       \
    if (failed != NULL) return failed; \
  } while (0)

extern void tsgoORTLog(uintptr_t, unsigned, char *, char *, char *);

static void log_line(void *logger, unsigned severity, const char *category, const char *id, const char *place,
                     const char *message) {
  (void)id;
  tsgoORTLog((uintptr_t)logger, severity, (char *)category, (char *)place, (char *)message);
}

static atomic_flag claimed = ATOMIC_FLAG_INIT;

bool tsgo_claim(void) { return !atomic_flag_test_and_set(&claimed); }

void tsgo_unclaim(void) { atomic_flag_clear(&claimed); }

const char *tsgo_version(const tsgo_api_base *base) { return base->GetVersionString(); }

tsgo_api tsgo_get_api(const tsgo_api_base *base, uint32_t version) { return base->GetApi(version); }

unsigned tsgo_status(tsgo_api api, const OrtStatus *status, const char **message) {
  *message = ORT(api, GetErrorMessage)(status);
  return ORT(api, GetErrorCode)(status);
}

void tsgo_release_status(tsgo_api api, OrtStatus *status) { ORT(api, ReleaseStatus)(status); }

OrtStatus *tsgo_create_env(tsgo_api api, uintptr_t logger, unsigned severity, OrtEnv **env) {
  return ORT(api, CreateEnvWithCustomLogger)(log_line, (void *)logger, severity, "tsgo", env);
}

void tsgo_release_env(tsgo_api api, OrtEnv *env) { ORT(api, ReleaseEnv)(env); }

OrtStatus *tsgo_providers(tsgo_api api, char ***names, int *count) {
  return ORT(api, GetAvailableProviders)(names, count);
}

void tsgo_release_providers(tsgo_api api, char **names, int count) {
  OrtStatus *status = ORT(api, ReleaseAvailableProviders)(names, count);
  if (status != NULL) ORT(api, ReleaseStatus)(status);
}

static OrtStatus *set_options(tsgo_api api, tsgo_options o, OrtSessionOptions *options) {
  TRY(ORT(api, SetIntraOpNumThreads)(options, o.intra_threads));
  TRY(ORT(api, SetInterOpNumThreads)(options, o.inter_threads));
  TRY(ORT(api, SetSessionExecutionMode)(options, o.execution_mode));
  TRY(ORT(api, SetSessionGraphOptimizationLevel)(options, o.optimization));
  TRY(ORT(api, SetDeterministicCompute)(options, o.deterministic));
  // A plan of memory is kept for every shape that was ever seen: without bound where batches vary.
  TRY(ORT(api, DisableMemPattern)(options));
  // Threads that wait sleep: the cores are shared with other sessions.
  TRY(ORT(api, AddSessionConfigEntry)(options, "session.intra_op.allow_spinning", "0"));
  return ORT(api, AddSessionConfigEntry)(options, "session.inter_op.allow_spinning", "0");
}

OrtStatus *tsgo_create_options(tsgo_api api, tsgo_options o, OrtSessionOptions **options) {
  TRY(ORT(api, CreateSessionOptions)(options));
  OrtStatus *status = set_options(api, o, *options);
  if (status != NULL) {
    ORT(api, ReleaseSessionOptions)(*options);
    *options = NULL;
  }
  return status;
}

void tsgo_cancel_load(tsgo_api api, OrtSessionOptions *options) {
  OrtStatus *status = ORT(api, SessionOptionsSetLoadCancellationFlag)(options, true);
  if (status != NULL) ORT(api, ReleaseStatus)(status);
}

void tsgo_release_options(tsgo_api api, OrtSessionOptions *options) { ORT(api, ReleaseSessionOptions)(options); }

// load_names reads the names of one side. They are the allocator's, freed with tsgo_free.
static OrtStatus *load_names(tsgo_api api, tsgo_session *s, int side) {
  size_t count = 0;
  TRY(side == 0 ? ORT(api, SessionGetInputCount)(s->session, &count) : ORT(api, SessionGetOutputCount)(s->session, &count));
  s->names[side] = calloc(count + 1, sizeof(char *));
  s->counts[side] = count;
  OrtAllocator *allocator;
  TRY(ORT(api, GetAllocatorWithDefaultOptions)(&allocator));
  for (size_t i = 0; i < count; i++) {
    TRY(side == 0 ? ORT(api, SessionGetInputName)(s->session, i, allocator, &s->names[0][i])
                  : ORT(api, SessionGetOutputName)(s->session, i, allocator, &s->names[1][i]));
  }
  return NULL;
}

static OrtStatus *fill_session(tsgo_api api, const OrtEnv *env, const char *path, const void *data, size_t size,
                               const OrtSessionOptions *options, tsgo_session *s) {
  TRY(path != NULL ? ORT(api, CreateSession)(env, path, options, &s->session)
                   : ORT(api, CreateSessionFromArray)(env, data, size, options, &s->session));
  TRY(ORT(api, CreateCpuMemoryInfo)(1, 0, &s->memory));  // of an arena, of the default kind
  TRY(load_names(api, s, 0));
  return load_names(api, s, 1);
}

OrtStatus *tsgo_create_session(tsgo_api api, const OrtEnv *env, const char *path, const void *data, size_t size,
                               const OrtSessionOptions *options, tsgo_session *s) {
  tsgo_begin_load();
  OrtStatus *status = fill_session(api, env, path, data, size, options, s);
  s->mark = tsgo_end_load();
  if (status != NULL) tsgo_release_session(api, s);
  return status;
}

void tsgo_release_session(tsgo_api api, tsgo_session *s) {
  for (int side = 0; side < 2; side++) {
    for (size_t i = 0; s->names[side] != NULL && i < s->counts[side]; i++) tsgo_free(api, s->names[side][i]);
    free(s->names[side]);
  }
  if (s->memory != NULL) ORT(api, ReleaseMemoryInfo)(s->memory);
  if (s->session != NULL) ORT(api, ReleaseSession)(s->session);
  tsgo_trim(s->mark);
  memset(s, 0, sizeof *s);
}

static OrtStatus *fill_info(tsgo_api api, const tsgo_session *s, int side, size_t index, tsgo_value_info *v) {
  TRY(side == 0 ? ORT(api, SessionGetInputTypeInfo)(s->session, index, &v->info)
                : ORT(api, SessionGetOutputTypeInfo)(s->session, index, &v->info));
  const OrtTensorTypeAndShapeInfo *tensor = NULL;
  TRY(ORT(api, CastTypeInfoToTensorInfo)(v->info, &tensor));
  if (tensor == NULL) return NULL;
  TRY(ORT(api, GetTensorElementType)(tensor, &v->type));
  v->has_shape = ORT(api, TensorTypeAndShape_HasShape)(tensor);
  if (!v->has_shape) return NULL;
  TRY(ORT(api, GetDimensionsCount)(tensor, &v->rank));
  if (v->rank == 0 || v->rank > tsgo_max_rank) return NULL;
  TRY(ORT(api, GetDimensions)(tensor, v->dims, v->rank));
  return ORT(api, GetSymbolicDimensions)(tensor, v->symbols, v->rank);
}

OrtStatus *tsgo_describe(tsgo_api api, const tsgo_session *s, int side, size_t index, tsgo_value_info *v) {
  OrtStatus *status = fill_info(api, s, side, index, v);
  if (status != NULL) tsgo_release_info(api, v);
  return status;
}

void tsgo_release_info(tsgo_api api, tsgo_value_info *v) {
  if (v->info != NULL) ORT(api, ReleaseTypeInfo)(v->info);
  v->info = NULL;
}

OrtStatus *tsgo_open_metadata(tsgo_api api, const tsgo_session *s, OrtModelMetadata **m) {
  return ORT(api, SessionGetModelMetadata)(s->session, m);
}

OrtStatus *tsgo_metadata(tsgo_api api, const OrtModelMetadata *m, int which, const char *key, char **text) {
  OrtAllocator *allocator;
  TRY(ORT(api, GetAllocatorWithDefaultOptions)(&allocator));
  switch (which) {
    case tsgo_producer:
      return ORT(api, ModelMetadataGetProducerName)(m, allocator, text);
    case tsgo_graph:
      return ORT(api, ModelMetadataGetGraphName)(m, allocator, text);
    case tsgo_domain:
      return ORT(api, ModelMetadataGetDomain)(m, allocator, text);
    case tsgo_description:
      return ORT(api, ModelMetadataGetDescription)(m, allocator, text);
  }
  return ORT(api, ModelMetadataLookupCustomMetadataMap)(m, allocator, key, text);
}

OrtStatus *tsgo_metadata_keys(tsgo_api api, const OrtModelMetadata *m, char ***keys, int64_t *count) {
  OrtAllocator *allocator;
  TRY(ORT(api, GetAllocatorWithDefaultOptions)(&allocator));
  return ORT(api, ModelMetadataGetCustomMetadataMapKeys)(m, allocator, keys, count);
}

OrtStatus *tsgo_metadata_version(tsgo_api api, const OrtModelMetadata *m, int64_t *version) {
  return ORT(api, ModelMetadataGetVersion)(m, version);
}

void tsgo_release_metadata(tsgo_api api, OrtModelMetadata *m) { ORT(api, ReleaseModelMetadata)(m); }

void tsgo_free(tsgo_api api, void *p) {
  OrtAllocator *allocator;
  if (p == NULL) return;
  OrtStatus *status = ORT(api, GetAllocatorWithDefaultOptions)(&allocator);
  if (status == NULL) status = ORT(api, AllocatorFree)(allocator, p);
  if (status != NULL) ORT(api, ReleaseStatus)(status);
}

OrtStatus *tsgo_create_run(tsgo_api api, OrtRunOptions **run) {
  TRY(ORT(api, CreateRunOptions)(run));
  // What a run fails with is returned. Logged as well, every bad request would be an error of the server's.
  return ORT(api, RunOptionsSetRunLogSeverityLevel)(*run, 4);
}

void tsgo_terminate_run(tsgo_api api, OrtRunOptions *run) {
  OrtStatus *status = ORT(api, RunOptionsSetTerminate)(run);
  if (status != NULL) ORT(api, ReleaseStatus)(status);
}

void tsgo_release_run(tsgo_api api, OrtRunOptions *run) { ORT(api, ReleaseRunOptions)(run); }

static OrtStatus *fill_strings(tsgo_api api, const tsgo_in *in, OrtValue *value) {
  for (size_t i = 0; i < in->count; i++) {
    size_t size = in->offsets[i + 1] - in->offsets[i];
    char *to = NULL;
    TRY(ORT(api, GetResizedStringTensorElementBuffer)(value, i, size, &to));
    if (size > 0) memcpy(to, (const char *)in->data + in->offsets[i], size);
  }
  return NULL;
}

static OrtStatus *make_input(tsgo_api api, const tsgo_session *s, const tsgo_in *in, OrtValue **value) {
  if (in->offsets == NULL) {
    return ORT(api, CreateTensorWithDataAsOrtValue)(s->memory, in->data, in->size, in->dims, in->rank, in->type, value);
  }
  OrtAllocator *allocator;
  TRY(ORT(api, GetAllocatorWithDefaultOptions)(&allocator));
  TRY(ORT(api, CreateTensorAsOrtValue)(allocator, in->dims, in->rank, in->type, value));
  return fill_strings(api, in, *value);
}

static OrtStatus *read_tensor(tsgo_api api, const OrtTensorTypeAndShapeInfo *info, tsgo_out *out) {
  TRY(ORT(api, GetTensorShapeElementCount)(info, &out->count));
  TRY(ORT(api, GetDimensionsCount)(info, &out->rank));
  if (out->rank > 0 && out->rank <= tsgo_max_rank) TRY(ORT(api, GetDimensions)(info, out->dims, out->rank));
  return ORT(api, GetTensorElementType)(info, &out->type);
}

static OrtStatus *read_output(tsgo_api api, tsgo_out *out, unsigned tensor_kind, unsigned string_type) {
  unsigned kind = 0;
  if (out->value == NULL) return NULL;  // an optional output that is not there
  TRY(ORT(api, GetValueType)(out->value, &kind));
  if (kind != tensor_kind) return NULL;
  OrtTensorTypeAndShapeInfo *info = NULL;
  TRY(ORT(api, GetTensorTypeAndShape)(out->value, &info));
  OrtStatus *status = read_tensor(api, info, out);
  ORT(api, ReleaseTensorTypeAndShapeInfo)(info);
  if (status != NULL || out->type == string_type || out->count == 0) return status;
  return ORT(api, GetTensorMutableData)(out->value, &out->data);
}

static OrtStatus *run_values(tsgo_api api, const tsgo_session *s, const OrtRunOptions *run, const OrtValue *const *in,
                             tsgo_out *out, size_t wanted) {
  const char *names[wanted + 1];
  OrtValue *values[wanted + 1];
  memset(values, 0, sizeof values);
  for (size_t i = 0; i < wanted; i++) names[i] = s->names[1][out[i].index];
  TRY(ORT(api, Run)(s->session, run, (const char *const *)s->names[0], in, s->counts[0], names, wanted, values));
  for (size_t i = 0; i < wanted; i++) out[i].value = values[i];
  for (size_t i = 0; i < wanted; i++) TRY(read_output(api, &out[i], 1, 8));  // ONNX_TYPE_TENSOR, ..._DATA_TYPE_STRING
  return NULL;
}

OrtStatus *tsgo_run(tsgo_api api, const tsgo_session *s, const OrtRunOptions *run, const tsgo_in *in, tsgo_out *out,
                    size_t wanted) {
  size_t count = s->counts[0];
  OrtValue *values[count + 1];
  OrtStatus *status = NULL;
  memset(values, 0, sizeof values);
  for (size_t i = 0; i < count && status == NULL; i++) status = make_input(api, s, &in[i], &values[i]);
  if (status == NULL) status = run_values(api, s, run, (const OrtValue *const *)values, out, wanted);
  for (size_t i = 0; i < count; i++) {
    if (values[i] != NULL) ORT(api, ReleaseValue)(values[i]);
  }
  if (status != NULL) tsgo_release_outputs(api, out, wanted);
  return status;
}

void tsgo_release_outputs(tsgo_api api, tsgo_out *out, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (out[i].value != NULL) ORT(api, ReleaseValue)(out[i].value);
    out[i].value = NULL;
  }
}

OrtStatus *tsgo_string_bytes(tsgo_api api, const OrtValue *value, size_t *size) {
  return ORT(api, GetStringTensorDataLength)(value, size);
}

OrtStatus *tsgo_strings(tsgo_api api, const OrtValue *value, void *bytes, size_t size, size_t *offsets, size_t count) {
  return ORT(api, GetStringTensorContent)(value, bytes, size, offsets, count);
}
