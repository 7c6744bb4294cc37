// The part of ONNX Runtime's C interface that the shim calls, beside what the Go binding offers. The interface is a table
// of functions whose places never change; TestTable compares places and types with the binding's own header.

#ifndef TSGO_ORT_API_H
#define TSGO_ORT_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct OrtEnv OrtEnv;
typedef struct OrtStatus OrtStatus;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtSession OrtSession;
typedef struct OrtValue OrtValue;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtModelMetadata OrtModelMetadata;
typedef struct OrtAllocator OrtAllocator;

// F(name, place in the table, result, parameters). Enumerations are unsigned, as compilers make them.
#define TSGO_ORT_FUNCTIONS(F)                                                                                              \
  F(GetErrorCode, 1, unsigned, (const OrtStatus *))                                                                        \
  F(GetErrorMessage, 2, const char *, (const OrtStatus *))                                                                 \
  F(CreateEnvWithCustomLogger, 4, OrtStatus *, (tsgo_log_fn, void *, unsigned, const char *, OrtEnv **))                   \
  F(CreateSession, 7, OrtStatus *, (const OrtEnv *, const char *, const OrtSessionOptions *, OrtSession **))               \
  F(CreateSessionFromArray, 8, OrtStatus *, (const OrtEnv *, const void *, size_t, const OrtSessionOptions *, OrtSession **)) \
  F(Run, 9, OrtStatus *,                                                                                                   \
    (OrtSession *, const OrtRunOptions *, const char *const *, const OrtValue *const *, size_t, const char *const *,       \
     size_t, OrtValue **))                                                                                                 \
  F(CreateSessionOptions, 10, OrtStatus *, (OrtSessionOptions **))                                                         \
  F(DisableMemPattern, 17, OrtStatus *, (OrtSessionOptions *))                                                             \
  F(DisableCpuMemArena, 19, OrtStatus *, (OrtSessionOptions *))                                                            \
  F(SetSessionGraphOptimizationLevel, 23, OrtStatus *, (OrtSessionOptions *, unsigned))                                    \
  F(SetIntraOpNumThreads, 24, OrtStatus *, (OrtSessionOptions *, int))                                                     \
  F(SetInterOpNumThreads, 25, OrtStatus *, (OrtSessionOptions *, int))                                                     \
  F(SetSessionExecutionMode, 13, OrtStatus *, (OrtSessionOptions *, unsigned))                                             \
  F(SessionGetInputCount, 30, OrtStatus *, (const OrtSession *, size_t *))                                                 \
  F(SessionGetOutputCount, 31, OrtStatus *, (const OrtSession *, size_t *))                                                \
  F(SessionGetInputTypeInfo, 33, OrtStatus *, (const OrtSession *, size_t, OrtTypeInfo **))                                \
  F(SessionGetOutputTypeInfo, 34, OrtStatus *, (const OrtSession *, size_t, OrtTypeInfo **))                               \
  F(SessionGetInputName, 36, OrtStatus *, (const OrtSession *, size_t, OrtAllocator *, char **))                           \
  F(SessionGetOutputName, 37, OrtStatus *, (const OrtSession *, size_t, OrtAllocator *, char **))                          \
  F(CreateRunOptions, 39, OrtStatus *, (OrtRunOptions **))                                                                 \
  F(RunOptionsSetRunLogSeverityLevel, 41, OrtStatus *, (OrtRunOptions *, int))                                             \
  F(RunOptionsSetTerminate, 46, OrtStatus *, (OrtRunOptions *))                                                            \
  F(CreateTensorAsOrtValue, 48, OrtStatus *, (OrtAllocator *, const int64_t *, size_t, unsigned, OrtValue **))             \
  F(CreateTensorWithDataAsOrtValue, 49, OrtStatus *,                                                                       \
    (const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t, unsigned, OrtValue **))                               \
  F(GetTensorMutableData, 51, OrtStatus *, (OrtValue *, void **))                                                          \
  F(GetStringTensorDataLength, 53, OrtStatus *, (const OrtValue *, size_t *))                                              \
  F(GetStringTensorContent, 54, OrtStatus *, (const OrtValue *, void *, size_t, size_t *, size_t))                         \
  F(CastTypeInfoToTensorInfo, 55, OrtStatus *, (const OrtTypeInfo *, const OrtTensorTypeAndShapeInfo **))                  \
  F(GetTensorElementType, 60, OrtStatus *, (const OrtTensorTypeAndShapeInfo *, unsigned *))                                \
  F(GetDimensionsCount, 61, OrtStatus *, (const OrtTensorTypeAndShapeInfo *, size_t *))                                    \
  F(GetDimensions, 62, OrtStatus *, (const OrtTensorTypeAndShapeInfo *, int64_t *, size_t))                                \
  F(GetSymbolicDimensions, 63, OrtStatus *, (const OrtTensorTypeAndShapeInfo *, const char **, size_t))                    \
  F(GetTensorShapeElementCount, 64, OrtStatus *, (const OrtTensorTypeAndShapeInfo *, size_t *))                            \
  F(GetTensorTypeAndShape, 65, OrtStatus *, (const OrtValue *, OrtTensorTypeAndShapeInfo **))                              \
  F(GetValueType, 67, OrtStatus *, (const OrtValue *, unsigned *))                                                         \
  F(CreateCpuMemoryInfo, 69, OrtStatus *, (int, int, OrtMemoryInfo **))                                                    \
  F(AllocatorFree, 76, OrtStatus *, (OrtAllocator *, void *))                                                              \
  F(GetAllocatorWithDefaultOptions, 78, OrtStatus *, (OrtAllocator **))                                                    \
  F(ReleaseEnv, 92, void, (OrtEnv *))                                                                                      \
  F(ReleaseStatus, 93, void, (OrtStatus *))                                                                                \
  F(ReleaseMemoryInfo, 94, void, (OrtMemoryInfo *))                                                                        \
  F(ReleaseSession, 95, void, (OrtSession *))                                                                              \
  F(ReleaseValue, 96, void, (OrtValue *))                                                                                  \
  F(ReleaseRunOptions, 97, void, (OrtRunOptions *))                                                                        \
  F(ReleaseTypeInfo, 98, void, (OrtTypeInfo *))                                                                            \
  F(ReleaseTensorTypeAndShapeInfo, 99, void, (OrtTensorTypeAndShapeInfo *))                                                \
  F(ReleaseSessionOptions, 100, void, (OrtSessionOptions *))                                                               \
  F(SessionGetModelMetadata, 111, OrtStatus *, (const OrtSession *, OrtModelMetadata **))                                  \
  F(ModelMetadataGetProducerName, 112, OrtStatus *, (const OrtModelMetadata *, OrtAllocator *, char **))                   \
  F(ModelMetadataGetGraphName, 113, OrtStatus *, (const OrtModelMetadata *, OrtAllocator *, char **))                      \
  F(ModelMetadataGetDomain, 114, OrtStatus *, (const OrtModelMetadata *, OrtAllocator *, char **))                         \
  F(ModelMetadataGetDescription, 115, OrtStatus *, (const OrtModelMetadata *, OrtAllocator *, char **))                    \
  F(ModelMetadataLookupCustomMetadataMap, 116, OrtStatus *, (const OrtModelMetadata *, OrtAllocator *, const char *, char **)) \
  F(ModelMetadataGetVersion, 117, OrtStatus *, (const OrtModelMetadata *, int64_t *))                                      \
  F(ReleaseModelMetadata, 118, void, (OrtModelMetadata *))                                                                 \
  F(ModelMetadataGetCustomMetadataMapKeys, 123, OrtStatus *, (const OrtModelMetadata *, OrtAllocator *, char ***, int64_t *)) \
  F(GetAvailableProviders, 125, OrtStatus *, (char ***, int *))                                                            \
  F(ReleaseAvailableProviders, 126, OrtStatus *, (char **, int))                                                           \
  F(AddSessionConfigEntry, 130, OrtStatus *, (OrtSessionOptions *, const char *, const char *))                            \
  F(GetResizedStringTensorElementBuffer, 252, OrtStatus *, (OrtValue *, size_t, size_t, char **))                          \
  F(SetDeterministicCompute, 273, OrtStatus *, (OrtSessionOptions *, bool))                                                \
  F(SessionOptionsSetLoadCancellationFlag, 293, OrtStatus *, (OrtSessionOptions *, bool))                                  \
  F(TensorTypeAndShape_HasShape, 390, bool, (const OrtTensorTypeAndShapeInfo *))

// What the library calls to log: parameter, severity, category, identifier, place in the code, message.
typedef void (*tsgo_log_fn)(void *, unsigned, const char *, const char *, const char *, const char *);

// One type per function: ort_Run_fn, and so on.
#define TSGO_ORT_TYPE(name, place, result, parameters) typedef result(*ort_##name##_fn) parameters;
TSGO_ORT_FUNCTIONS(TSGO_ORT_TYPE)

#define TSGO_ORT_PLACE(name, place, result, parameters) ort_##name##_place = place,
enum { TSGO_ORT_FUNCTIONS(TSGO_ORT_PLACE) };

// ORT(api, Run)(...) calls a function of the table.
#define ORT(api, name) ((ort_##name##_fn)(api)[ort_##name##_place])

// The entry of the library, OrtGetApiBase, returns this.
typedef struct {
  const void *const *(*GetApi)(uint32_t version);
  const char *(*GetVersionString)(void);
} tsgo_api_base;

#endif
