// Linux' filter of system calls (seccomp) for Swift, which can call neither prctl (variadic) nor the macros of a filter.

#ifndef FINETUNE_SECCOMP_SHIM_H
#define FINETUNE_SECCOMP_SHIM_H

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define FINETUNE_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FINETUNE_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the reading helper knows the system calls of x86-64 and arm64 only"
#endif

#define FINETUNE_LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define FINETUNE_ALLOW(call) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define FINETUNE_REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
/// Allows a call whose argument has none of the bits in `mask` (the low word holds all of them).
#define FINETUNE_ALLOW_WITHOUT(call, argument, mask)                                                        \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 4), FINETUNE_LOAD(args[argument]),                  \
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (mask), 1, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), FINETUNE_REFUSE

/// Allows a call whose argument has one of the bits in `mask` (the low word holds all of them).
#define FINETUNE_ALLOW_WITH(call, argument, mask)                                                           \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 4), FINETUNE_LOAD(args[argument]),                  \
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (mask), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), FINETUNE_REFUSE
/// Has a call fail as on a system that lacks it, so that the C library takes an older one.
#define FINETUNE_DENY_KNOWLEDGE(call) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)
/// A kernel's header may lack what a newer C library calls.
#ifndef __NR_rseq
#define __NR_rseq 0x3FFFFFFF
#endif
#ifndef __NR_clone3
#define __NR_clone3 435
#endif
#define FINETUNE_CLONE_THREAD 0x00010000

/// Has this process killed when the one that started it ends.
static inline void finetune_die_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); }

// Calls of the x32 interface have numbers of their own.
#if defined(__x86_64__)
#define FINETUNE_KILL_X32 \
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#else
#define FINETUNE_KILL_X32
#endif

/// What reading an open file and handing over memory take.
#define FINETUNE_READING                                                                                          \
    FINETUNE_LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FINETUNE_ARCHITECTURE, 1, 0),                         \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), FINETUNE_LOAD(nr), FINETUNE_KILL_X32                  \
        FINETUNE_ALLOW(read), FINETUNE_ALLOW(pread64), FINETUNE_ALLOW(write),                                      \
        FINETUNE_ALLOW(pwrite64), FINETUNE_ALLOW(lseek),                                                           \
        FINETUNE_ALLOW(close), FINETUNE_ALLOW(fstat), FINETUNE_ALLOW(ftruncate), FINETUNE_ALLOW(newfstatat),       \
        FINETUNE_ALLOW(munmap), FINETUNE_ALLOW(mremap), FINETUNE_ALLOW(brk), FINETUNE_ALLOW(madvise),              \
        FINETUNE_ALLOW(futex), FINETUNE_ALLOW(clock_gettime), FINETUNE_ALLOW(getrandom),                           \
        FINETUNE_ALLOW(rt_sigreturn), FINETUNE_ALLOW(exit), FINETUNE_ALLOW(exit_group),                            \
        FINETUNE_ALLOW_WITHOUT(mmap, 2, PROT_EXEC), FINETUNE_LOAD(nr),                                             \
        FINETUNE_ALLOW_WITHOUT(mprotect, 2, PROT_EXEC), FINETUNE_LOAD(nr)

/// Confines this process, for good, to the calls of a filter; every other one fails.
///
/// Returns 0, or -1 with errno set.
static inline int finetune_confine_to(struct sock_filter *filter, size_t count) {
    struct sock_fprog program = {.len = (unsigned short)count, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

/// Leaves this process, for good, the calls that reading an open file and handing over memory take; every other one fails.
///
/// Returns 0, or -1 with errno set.
static inline int finetune_confine(void) {
    struct sock_filter filter[] = {FINETUNE_READING, FINETUNE_REFUSE};
    return finetune_confine_to(filter, sizeof(filter) / sizeof(filter[0]));
}

/// The same, with threads of this process and with limits and timers for itself.
static inline int finetune_confine_threads(void) {
    struct sock_filter filter[] = {
        FINETUNE_READING,
        FINETUNE_ALLOW_WITH(clone, 0, FINETUNE_CLONE_THREAD), FINETUNE_LOAD(nr),
        FINETUNE_DENY_KNOWLEDGE(clone3),
        // Of another process it would be a way out.
        FINETUNE_ALLOW_WITHOUT(prlimit64, 0, 0xFFFFFFFF), FINETUNE_LOAD(nr),
        FINETUNE_ALLOW(getrusage), FINETUNE_ALLOW(setitimer), FINETUNE_ALLOW(set_robust_list), FINETUNE_ALLOW(rseq),
        FINETUNE_ALLOW(rt_sigprocmask), FINETUNE_ALLOW(sched_getaffinity), FINETUNE_ALLOW(sched_yield),
        FINETUNE_ALLOW(gettid), FINETUNE_ALLOW(getpid), FINETUNE_ALLOW(clock_nanosleep),
        FINETUNE_REFUSE,
    };
    return finetune_confine_to(filter, sizeof(filter) / sizeof(filter[0]));
}

/// Keeps the address space of threads small: one heap for all of them. To be called before the first.
static inline void finetune_share_heap(void) { mallopt(M_ARENA_MAX, 1); }

#endif
