// libtiff for Swift: reading from memory. The library wants seven callbacks with a shared state, which are plain C.

#ifndef FINETUNE_TIFF_SHIM_H
#define FINETUNE_TIFF_SHIM_H

#include <string.h>
#include <tiffio.h>

typedef struct {
    const unsigned char *bytes;
    toff_t count;
    toff_t position;
} finetune_tiff_memory;

static inline tmsize_t finetune_tiff_read(thandle_t handle, void *buffer, tmsize_t size) {
    finetune_tiff_memory *memory = (finetune_tiff_memory *)handle;
    if (size < 0 || memory->position >= memory->count) return 0;
    toff_t left = memory->count - memory->position;
    toff_t count = (toff_t)size < left ? (toff_t)size : left;
    memcpy(buffer, memory->bytes + memory->position, (size_t)count);
    memory->position += count;
    return (tmsize_t)count;
}
static inline tmsize_t finetune_tiff_write(thandle_t handle, void *buffer, tmsize_t size) {
    (void)handle, (void)buffer, (void)size;
    return -1;
}
static inline toff_t finetune_tiff_seek(thandle_t handle, toff_t offset, int whence) {
    finetune_tiff_memory *memory = (finetune_tiff_memory *)handle;
    if (whence == SEEK_CUR) offset += memory->position;
    if (whence == SEEK_END) offset += memory->count;
    return memory->position = offset;
}
static inline int finetune_tiff_close(thandle_t handle) { return (void)handle, 0; }
static inline toff_t finetune_tiff_size(thandle_t handle) { return ((finetune_tiff_memory *)handle)->count; }

/// Opens a picture in memory, silently; NULL where it is none. `memory` must outlive the result.
static inline TIFF *finetune_tiff_open(finetune_tiff_memory *memory) {
    TIFFSetErrorHandler(NULL);
    TIFFSetWarningHandler(NULL);
    return TIFFClientOpen("memory", "rm", (thandle_t)memory, finetune_tiff_read, finetune_tiff_write,
                          finetune_tiff_seek, finetune_tiff_close, finetune_tiff_size, NULL, NULL);
}

/// Width, height and orientation of the first picture (TIFFGetField is variadic, which Swift cannot call).
static inline int finetune_tiff_header(TIFF *file, uint32_t *width, uint32_t *height, uint16_t *orientation) {
    return TIFFGetField(file, TIFFTAG_IMAGEWIDTH, width) && TIFFGetField(file, TIFFTAG_IMAGELENGTH, height) &&
           TIFFGetFieldDefaulted(file, TIFFTAG_ORIENTATION, orientation);
}

#endif
