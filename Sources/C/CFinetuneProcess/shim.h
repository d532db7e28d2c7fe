// What the C library declares under _GNU_SOURCE only, which Swift's module of it is built without.

#ifndef FINETUNE_PROCESS_SHIM_H
#define FINETUNE_PROCESS_SHIM_H

#include <stddef.h>

extern int finetune_memfd_create(const char *name, unsigned flags) __asm__("memfd_create");

struct finetune_address {
    const char *file;
    void *base;
    const char *symbol;
    void *start;
};
extern int finetune_dladdr(const void *address, struct finetune_address *found) __asm__("dladdr");

/// The program or library that holds this code, as it was loaded; NULL if that is unknown.
static inline const char *finetune_own_file(void) {
    struct finetune_address found = {0};
    return finetune_dladdr((const void *)&finetune_own_file, &found) ? found.file : NULL;
}

#endif
