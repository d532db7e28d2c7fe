// What the program does when it crashes: a handler may call few functions, which Swift cannot promise, so it is C's.

#ifndef FINETUNE_SIGNALS_SHIM_H
#define FINETUNE_SIGNALS_SHIM_H

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static inline void finetune_say(const char *text) {
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
}

/// Whether a resource is limited below what a training takes.
static inline int finetune_is_scarce(int resource, rlim_t enough) {
    struct rlimit limit;
    return getrlimit((__rlimit_resource_t)resource, &limit) == 0 && limit.rlim_cur < enough;
}

static inline void finetune_crashed(int number) {
    // Threads may crash together: one speaks, the others wait for it to end them all.
    static int crashed = 0;
    if (__sync_lock_test_and_set(&crashed, 1)) for (;;) pause();
    char digits[3] = {(char)('0' + number / 10), (char)('0' + number % 10), 0};
    if (finetune_is_scarce(RLIMIT_AS, (rlim_t)4 << 30))
        finetune_say("finetune: out of memory, which is limited by ulimit -v. Raise the limit, or use fewer --threads or a smaller --batch");
    else if (finetune_is_scarce(RLIMIT_NPROC, 64))
        finetune_say("finetune: too few processes and threads may run, which is limited by ulimit -u. Raise the limit");
    else if (finetune_is_scarce(RLIMIT_NOFILE, 64))
        finetune_say("finetune: too few files may be open at once, which is limited by ulimit -n. Raise the limit to 64 or more");
    else
        finetune_say("finetune: ended by a fault of the program, or out of memory. If memory was short, use fewer --threads or a smaller --batch; otherwise please report the command");
    finetune_say(" (signal ");
    finetune_say(number < 10 ? digits + 1 : digits);
    finetune_say(").\n");
    _exit(1);
}

/// If the program crashes, says one sentence and ends with 1. The handler has a stack of its own.
static inline void finetune_watch_crashes(void) {
    static char memory[1 << 16];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    sigaltstack(&stack, NULL);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = finetune_crashed;
    action.sa_flags = SA_ONSTACK;
    const int numbers[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};
    for (size_t index = 0; index < sizeof numbers / sizeof numbers[0]; index++)
        sigaction(numbers[index], &action, NULL);
}

/// The writing end of a pipe that learns of signals.
static inline int *finetune_signal_pipe(void) { static int end = -1; return &end; }

static inline void finetune_pass_on(int number) {
    const char byte = (char)number;
    ssize_t written = write(*finetune_signal_pipe(), &byte, 1);
    (void)written;
}

/// Writes the number of each such signal to a pipe from now on, unless the signal is ignored.
static inline void finetune_pass_on_signals(int pipe, const int *numbers, int count) {
    *finetune_signal_pipe() = pipe;
    for (int index = 0; index < count; index++) {
        struct sigaction action;
        if (sigaction(numbers[index], NULL, &action) != 0 || action.sa_handler == SIG_IGN) continue;
        memset(&action, 0, sizeof action);
        action.sa_handler = finetune_pass_on;
        action.sa_flags = SA_RESTART;
        sigaction(numbers[index], &action, NULL);
    }
}

#endif
