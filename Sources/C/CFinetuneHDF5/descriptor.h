// libhdf5 on files that we opened, for reading and for writing.
//
// The library never learns that a write failed: it cannot close a file whose last writes fail, and then crashes when the
// process ends. The first failure is kept for the caller, who asks for it; everything after it is dropped, for the file
// will be thrown away.

#ifndef FINETUNE_HDF5_DESCRIPTOR_H
#define FINETUNE_HDF5_DESCRIPTOR_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <hdf5.h>
#if H5_VERSION_GE(1, 14, 0)
#include <H5FDdevelop.h>
#endif

/// What the driver is given: an open file, and where to leave errno of the first failed write, NULL for a file that is
/// only read. Both must stay until the library has closed the file.
typedef struct { int descriptor; int *failure; } finetune_h5_target;

/// An open file as the library sees it.
typedef struct {
    H5FD_t base;
    finetune_h5_target target;
    haddr_t end_of_allocation, end_of_file;
} finetune_h5_descriptor;

static inline H5FD_t *finetune_h5_descriptor_open(const char *name, unsigned flags, hid_t access, haddr_t most) {
    (void)name, (void)flags, (void)most;
    const finetune_h5_target *target = (const finetune_h5_target *)H5Pget_driver_info(access);
    finetune_h5_descriptor *file = target ? (finetune_h5_descriptor *)calloc(1, sizeof *file) : NULL;
    if (!file) return NULL;
    file->target = *target;
    struct stat status;
    if (fstat(target->descriptor, &status) == 0) file->end_of_file = (haddr_t)status.st_size;
    return (H5FD_t *)file;
}
static inline herr_t finetune_h5_descriptor_close(H5FD_t *file) { return free(file), 0; }
/// The library's own driver of plain files says the same, so the bytes are the same.
static inline herr_t finetune_h5_descriptor_query(const H5FD_t *file, unsigned long *flags) {
    (void)file;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}
static inline haddr_t finetune_h5_descriptor_eoa(const H5FD_t *file, H5FD_mem_t type) {
    return (void)type, ((const finetune_h5_descriptor *)file)->end_of_allocation;
}
static inline herr_t finetune_h5_descriptor_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t address) {
    return (void)type, ((finetune_h5_descriptor *)file)->end_of_allocation = address, 0;
}
static inline haddr_t finetune_h5_descriptor_eof(const H5FD_t *file, H5FD_mem_t type) {
    return (void)type, ((const finetune_h5_descriptor *)file)->end_of_file;
}

static inline void finetune_h5_descriptor_fail(finetune_h5_descriptor *file, int reason) {
    if (*file->target.failure == 0) *file->target.failure = reason ? reason : ENOSPC;
}

/// What lies behind the end is zeros, as it is to the library's own driver.
static inline herr_t finetune_h5_descriptor_read(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address,
                                                 size_t size, void *buffer) {
    (void)type, (void)transfer;
    finetune_h5_descriptor *file = (finetune_h5_descriptor *)base;
    for (size_t done = 0; done < size;) {
        ssize_t count = pread(file->target.descriptor, (char *)buffer + done, size - done, (off_t)(address + done));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && !file->target.failure) return -1;
        if (count < 0) finetune_h5_descriptor_fail(file, errno);
        if (count <= 0) {
            memset((char *)buffer + done, 0, size - done);
            break;
        }
        done += (size_t)count;
    }
    return 0;
}
static inline herr_t finetune_h5_descriptor_write(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address,
                                                  size_t size, const void *buffer) {
    (void)type, (void)transfer;
    finetune_h5_descriptor *file = (finetune_h5_descriptor *)base;
    if (!file->target.failure) return -1;
    for (size_t done = 0; done < size && *file->target.failure == 0;) {
        ssize_t count =
            pwrite(file->target.descriptor, (const char *)buffer + done, size - done, (off_t)(address + done));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) finetune_h5_descriptor_fail(file, count < 0 ? errno : 0);
        else done += (size_t)count;
    }
    if (address + size > file->end_of_file) file->end_of_file = address + size;
    return 0;
}
/// Makes the file as long as the library counts on.
static inline herr_t finetune_h5_descriptor_truncate(H5FD_t *base, hid_t transfer, hbool_t closing) {
    (void)transfer, (void)closing;
    finetune_h5_descriptor *file = (finetune_h5_descriptor *)base;
    if (!file->target.failure || file->end_of_allocation == file->end_of_file) return 0;
    if (*file->target.failure == 0 && ftruncate(file->target.descriptor, (off_t)file->end_of_allocation) != 0)
        finetune_h5_descriptor_fail(file, errno);
    file->end_of_file = file->end_of_allocation;
    return 0;
}

/// The number of the driver, registered at its first use; negative if the library refuses.
static inline hid_t finetune_h5_descriptor_driver(void) {
    static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 14, 0)
        .version = H5FD_CLASS_VERSION,
        .value = (H5FD_class_value_t)1023,  // In the range that The HDF Group leaves for private use.
#endif
        .name = "descriptor",
        .maxaddr = ((haddr_t)1 << 62) - 1,
        .fc_degree = H5F_CLOSE_WEAK,
        .fapl_size = sizeof(finetune_h5_target),
        .open = finetune_h5_descriptor_open,
        .close = finetune_h5_descriptor_close,
        .query = finetune_h5_descriptor_query,
        .get_eoa = finetune_h5_descriptor_eoa,
        .set_eoa = finetune_h5_descriptor_set_eoa,
        .get_eof = finetune_h5_descriptor_eof,
        .read = finetune_h5_descriptor_read,
        .write = finetune_h5_descriptor_write,
        .truncate = finetune_h5_descriptor_truncate,
        .fl_map = H5FD_FLMAP_DICHOTOMY,
    };
    static hid_t identifier = 0;
    if (identifier <= 0) identifier = H5FDregister(&driver);
    return identifier;
}

static inline hid_t finetune_h5_descriptor_access(int descriptor, int *failure) {
    const finetune_h5_target target = {descriptor, failure};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    return access >= 0 && H5Pset_driver(access, finetune_h5_descriptor_driver(), &target) >= 0 ? access : -1;
}

/// Makes an HDF5 file of the empty file that a descriptor leads to; negative if the library refuses.
static inline hid_t finetune_h5_create(int descriptor, int *failure, hid_t creation) {
    hid_t access = finetune_h5_descriptor_access(descriptor, failure);
    hid_t file = access < 0 ? -1 : H5Fcreate("descriptor", H5F_ACC_TRUNC, creation, access);
    H5Pclose(access);
    return file;
}

/// Opens the HDF5 file that a descriptor leads to, for reading; negative if the library refuses.
static inline hid_t finetune_h5_open(int descriptor) {
    hid_t access = finetune_h5_descriptor_access(descriptor, NULL);
    hid_t file = access < 0 ? -1 : H5Fopen("descriptor", H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return file;
}

#endif
