/* A libcuda that is wrong in known ways, so that the runner of the conformance suite can be tested.
 *
 * Streams are numbered; capture is a status per stream. It crashes, hangs and forgets on demand. */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef int CUresult;
enum { SUCCESS = 0, INVALID_VALUE = 1, ILLEGAL_STATE = 401, NOT_SUPPORTED = 801, UNSUPPORTED = 900, INVALIDATED = 901 };

static int worked[1024];
static atomic_uint_least64_t streams = 0x100;
static _Atomic int status[1024];

static _Atomic int *status_of(uint64_t stream) { return &status[stream & 1023]; }

CUresult cuInit(unsigned flags) { return flags ? INVALID_VALUE : SUCCESS; }
CUresult cuDriverGetVersion(int *version) { *version = 12020; return SUCCESS; }
CUresult cuDevicePrimaryCtxRetain(uint64_t *context, int device) { (void)device; *context = 0xC0; return SUCCESS; }
CUresult cuCtxSetCurrent(uint64_t context) { return context == 0xC0 ? SUCCESS : INVALID_VALUE; }
CUresult cuStreamCreate(uint64_t *stream, unsigned flags) { (void)flags; *stream = streams++; return SUCCESS; }

CUresult cuStreamBeginCapture_v2(uint64_t stream, int mode) {
    if (mode < 0 || mode > 2) return INVALID_VALUE;
    if (*status_of(stream)) return ILLEGAL_STATE;
    *status_of(stream) = 1;
    return SUCCESS;
}
CUresult cuStreamEndCapture(uint64_t stream, uint64_t *graph) {
    int before = *status_of(stream);
    *status_of(stream) = 0;
    *graph = before == 1 ? 0x6000 : 0;
    return before == 0 ? ILLEGAL_STATE : before == 1 ? SUCCESS : INVALIDATED;
}
CUresult cuStreamIsCapturing(uint64_t stream, int *out) { *out = *status_of(stream); return SUCCESS; }
CUresult cuStreamQuery(uint64_t stream) {
    if (*status_of(stream) == 0) return SUCCESS;
#ifdef PLANTED
    /* Wrong where two rules meet: the query after a host function in the capture. */
    if (*status_of(stream) == 1 && worked[stream & 1023]) return INVALIDATED;
#endif
    *status_of(stream) = 2;
    return UNSUPPORTED;
}
/* Runs the function on the calling thread, so that a gate blocks this call. */
CUresult cuLaunchHostFunc(uint64_t stream, void (*function)(void *), void *data) {
    worked[stream & 1023] = 1;
    function(data);
    return SUCCESS;
}
#ifdef QUIET
CUresult cuCtxSynchronize(void) { return SUCCESS; }
#else
CUresult cuCtxSynchronize(void) { puts("not a message {"); fflush(stdout); abort(); }
#endif
CUresult cuProfilerStart(void) { for (;;) pause(); }
CUresult cuProfilerStop(void) { return NOT_SUPPORTED; }
CUresult cuGraphDestroy(uint64_t graph) { return graph == 0x6000 ? SUCCESS : INVALID_VALUE; }
/* Fails once per file of this name. */
CUresult cuCtxSetLimit(int limit, size_t value) {
    (void)limit, (void)value;
    const char *marker = getenv("FAKE_FLAKE_MARKER");
    if (!marker || access(marker, F_OK) == 0) return SUCCESS;
    FILE *file = fopen(marker, "w");
    if (file) fclose(file);
    return INVALID_VALUE;
}
