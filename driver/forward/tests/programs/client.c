/* Calls a driver in the ways that a recorder could break. One argument says which. */
#include <dlfcn.h>
#include <immintrin.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *library;

static void *find(const char *name) {
    void *found = dlsym(library, name);
    if (!found) {
        printf("no %s\n", name);
        exit(3);
    }
    return found;
}

typedef int init_t(unsigned);
typedef int version_t(int *);
typedef int occupancy_t(int *, int *, void *, size_t (*)(int), size_t, int);
typedef int launch_t(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **,
                     void **);
typedef int proc_t(const char *, void **, int, uint64_t, int *);
typedef int new_t(__m256, __m256, long, long, long, long, long, long, long, long, long);

static jmp_buf place;

static size_t jumps(int limit) { longjmp(place, limit); }

static size_t calls(int limit) {
    int version = 0;
    ((version_t *)find("cuDriverGetVersion"))(&version);
    return (size_t)(version + limit);
}

__attribute__((target("avx"))) static int vectors(void) {
    void *found = NULL;
    int status = 9;
    if (((proc_t *)find("cuGetProcAddress_v2"))("cuBrandNew", &found, 13000, 0, &status) || status)
        return 1;
    if (found == find("cuNotInTheTable"))
        return 2;
    __m256 a = _mm256_set_ps(7, 6, 5, 4, 3, 2, 1, 0), b = _mm256_set_ps(70, 60, 50, 40, 30, 20, 10, 0);
    return ((new_t *)found)(a, b, 1, 2, 3, 4, 5, 6, 7, 8, 9);
}

static void *thread(void *count) {
    init_t *init = (init_t *)find("cuInit");
    for (long n = 0; n < (long)count; n++)
        init(0);
    return NULL;
}

static volatile sig_atomic_t signals;
static init_t *asked;

static void handler(int signal) {
    (void)signal;
    asked(0);
    signals++;
}

int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "";
    library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) {
        printf("%s\n", dlerror());
        return 2;
    }
    init_t *init = (init_t *)find("cuInit");
    int grid = 0, block = 0;
    occupancy_t *occupancy = (occupancy_t *)find("cuOccupancyMaxPotentialBlockSize");
    if (!strcmp(what, "arguments")) {
        launch_t *launch = (launch_t *)find("cuLaunchKernel");
        int (*set)(void *, int, float) = (int (*)(void *, int, float))find("cuParamSetf");
        printf("%d %d %d %d\n", init(0), launch(NULL, 1, 2, 3, 4, 5, 6, 7, (void *)0x40, NULL, NULL),
               set(NULL, 0, 1.5f), vectors());
    } else if (!strcmp(what, "often")) {
        /* Each tenth launch is refused. */
        launch_t *launch = (launch_t *)find("cuLaunchKernel");
        int refused = 0, version = 0, well = 0;
        for (int n = 0; n < 1000; n++) {
            refused += launch(NULL, n % 10 ? 1 : 2, 2, 3, 4, 5, 6, 7, (void *)0x40, NULL, NULL);
            well += !((version_t *)find("cuDriverGetVersion"))(&version) && version == 13000;
        }
        printf("%d %d\n", refused, well);
    } else if (!strcmp(what, "names")) {
        /* A newer name resolves; one that the driver lacks does not, though the recorder knows it. */
        init(0);
        int (*unseen)(long) = (int (*)(long))find("cuNotInTheTable");
        printf("%d %s\n", unseen(41), dlsym(library, "cuMemAlloc_v2") ? "found" : "absent");
    } else if (!strcmp(what, "nested")) {
        int result = occupancy(&grid, &block, NULL, calls, 5, 3);
        printf("%d %d\n", result, grid);
    } else if (!strcmp(what, "jump")) {
        for (int turn = 1; turn <= 3; turn++)
            if (!setjmp(place))
                occupancy(&grid, &block, NULL, jumps, 5, turn);
        printf("%d\n", init(0));
    } else if (!strcmp(what, "fork")) {
        init(0);
        fflush(stdout);
        pid_t child = fork();
        if (!child)
            _exit(init(7) == 7 ? 0 : 1);
        int status = 1;
        waitpid(child, &status, 0);
        printf("%d %d\n", status, init(0));
    } else if (!strcmp(what, "often, then fork")) {
        version_t *ask = (version_t *)find("cuDriverGetVersion");
        int version = 0, status = 1;
        for (int n = 0; n < 500; n++)
            ask(&version);
        pid_t child = fork();
        for (int n = 0; !child && n < 70; n++)
            ask(&version);
        if (!child)
            _exit(0);
        waitpid(child, &status, 0);
        ask(&version);
        printf("%d\n", status);
    } else if (!strcmp(what, "exec")) {
        init(0);
        execl("/proc/self/exe", arguments[0], "names", (char *)NULL);
    } else if (!strcmp(what, "threads")) {
        pthread_t threads[8];
        for (int n = 0; n < 8; n++)
            pthread_create(&threads[n], NULL, thread, (void *)5000);
        for (int n = 0; n < 8; n++)
            pthread_join(threads[n], NULL);
        printf("joined\n");
    } else if (!strcmp(what, "signals")) {
        asked = init;
        signal(SIGALRM, handler);
        struct timeval soon = {0, 200};
        struct { struct timeval interval, value; } timer = {soon, soon};
        setitimer(0, (void *)&timer, NULL);
        while (signals < 50)
            if (asked(0))
                return 5;
        printf("done\n");
        fflush(stdout);
        _exit(0);
    } else if (!strcmp(what, "killed")) {
        init(0);
        kill(getpid(), SIGKILL);
    }
    return 0;
}
