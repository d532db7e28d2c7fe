// libhdf5 for Swift. Swift cannot import the macros behind type and constant names (they call H5open first), nor the
// versioned function macros; each wrapper stands for one of them.

#ifndef FINETUNE_HDF5_SHIM_H
#define FINETUNE_HDF5_SHIM_H

#define H5_USE_110_API
#include <hdf5.h>
#include "descriptor.h"

// The C library declares it under _GNU_SOURCE only, which Swift's module of it is built without.
int memfd_create(const char *name, unsigned flags);

static inline hid_t finetune_h5_float(void) { return H5T_NATIVE_FLOAT; }
static inline hid_t finetune_h5_double(void) { return H5T_NATIVE_DOUBLE; }
static inline hid_t finetune_h5_int64(void) { return H5T_NATIVE_INT64; }
static inline hid_t finetune_h5_uint8(void) { return H5T_NATIVE_UINT8; }
static inline hid_t finetune_h5_uint16(void) { return H5T_NATIVE_UINT16; }
static inline hid_t finetune_h5_stored_float(void) { return H5T_IEEE_F32LE; }
static inline hid_t finetune_h5_stored_int64(void) { return H5T_STD_I64LE; }
static inline hid_t finetune_h5_stored_uint8(void) { return H5T_STD_U8LE; }

/// IEEE 754 half precision, which this libhdf5 has no name for.
static inline hid_t finetune_h5_stored_half(void) {
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    if (type < 0 || H5Tset_fields(type, 15, 10, 5, 0, 10) < 0 || H5Tset_size(type, 2) < 0 || H5Tset_ebias(type, 15) < 0)
        return -1;
    return type;
}

/// Variable-length UTF-8 text.
static inline hid_t finetune_h5_text(void) {
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0 || H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0) return -1;
    return type;
}

static inline hid_t finetune_h5_dataset_creation(void) { return H5Pcreate(H5P_DATASET_CREATE); }
static inline hid_t finetune_h5_group_creation(void) { return H5Pcreate(H5P_GROUP_CREATE); }
static inline hid_t finetune_h5_file_creation(void) { return H5Pcreate(H5P_FILE_CREATE); }
/// To be called before anything else: nothing of the library runs when the process ends, and it prints nothing.
static inline void finetune_h5_begin(void) {
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/// Hard link, or what else.
static inline int finetune_h5_link_type(hid_t group, const char *name) {
    H5L_info_t info;
    return H5Lget_info(group, name, &info, H5P_DEFAULT) < 0 ? -1 : (int)info.type;
}

/// The type, address and number of attributes of an open object.
static inline int finetune_h5_object(hid_t object, int *type, unsigned long long *address, unsigned long long *attributes) {
    H5O_info_t info;
    if (H5Oget_info(object, &info) < 0) return -1;
    *type = (int)info.type;
    *address = (unsigned long long)info.addr;
    *attributes = (unsigned long long)info.num_attrs;
    return 0;
}

static inline herr_t finetune_h5_reclaim(hid_t type, hid_t space, void *buffer) {
    return H5Dvlen_reclaim(type, space, H5P_DEFAULT, buffer);
}

/// Teaches the library a filter that decodes only.
static inline herr_t finetune_h5_register_decoder(int identifier, const char *name, H5Z_func_t decode) {
    const H5Z_class2_t filter = {H5Z_CLASS_T_VERS, identifier, 0, 1, name, NULL, NULL, decode};
    return H5Zregister(&filter);
}

/// The most specific text on the calling thread's error stack.
static inline herr_t finetune_h5_keep_last(unsigned n, const H5E_error2_t *error, void *text) {
    (void)n;
    *(const char **)text = error->desc;
    return 0;
}
static inline const char *finetune_h5_last_error(void) {
    const char *text = NULL;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, finetune_h5_keep_last, &text);
    return text ? text : "no reason given";
}

#endif
