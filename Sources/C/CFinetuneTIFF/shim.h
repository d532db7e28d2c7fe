#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>

/// A TIFF file in memory, where libtiff reads in it, and the last thing it complained about.
struct finetune_tiff_memory {
    const uint8_t *bytes;
    uint64_t size;
    uint64_t position;
    char message[200];
};

static inline tmsize_t finetune_tiff_read(thandle_t handle, void *out, tmsize_t count) {
    struct finetune_tiff_memory *memory = (struct finetune_tiff_memory *)handle;
    if (count <= 0 || memory->position >= memory->size) return 0;
    uint64_t left = memory->size - memory->position;
    uint64_t taken = (uint64_t)count < left ? (uint64_t)count : left;
    memcpy(out, memory->bytes + memory->position, taken);
    memory->position += taken;
    return (tmsize_t)taken;
}

static inline tmsize_t finetune_tiff_write(thandle_t handle, void *bytes, tmsize_t count) {
    (void)handle, (void)bytes, (void)count;
    return -1;
}

static inline toff_t finetune_tiff_seek(thandle_t handle, toff_t offset, int whence) {
    struct finetune_tiff_memory *memory = (struct finetune_tiff_memory *)handle;
    if (whence == SEEK_CUR) offset += memory->position;
    if (whence == SEEK_END) offset += memory->size;
    return memory->position = offset;
}

static inline int finetune_tiff_close(thandle_t handle) {
    (void)handle;
    return 0;
}

static inline toff_t finetune_tiff_size(thandle_t handle) {
    return ((struct finetune_tiff_memory *)handle)->size;
}

// libtiff hands over a format and a va_list: only C can turn them into text. Answering 1 keeps it from printing.
static inline int finetune_tiff_error(TIFF *tiff, void *user, const char *module, const char *format, va_list values) {
    (void)tiff, (void)module;
    struct finetune_tiff_memory *memory = (struct finetune_tiff_memory *)user;
    vsnprintf(memory->message, sizeof memory->message, format, values);
    return 1;
}

static inline int finetune_tiff_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list values) {
    (void)tiff, (void)user, (void)module, (void)format, (void)values;
    return 1;
}

// Swift cannot make C function pointers from functions that a header defines inline, so the callbacks are set here.
static inline TIFF *finetune_tiff_open(struct finetune_tiff_memory *memory, tmsize_t largest_allocation) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return NULL;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, largest_allocation);
    TIFFOpenOptionsSetErrorHandlerExtR(options, finetune_tiff_error, memory);
    TIFFOpenOptionsSetWarningHandlerExtR(options, finetune_tiff_warning, memory);
    TIFF *tiff = TIFFClientOpenExt("picture", "rm", memory, finetune_tiff_read, finetune_tiff_write, finetune_tiff_seek,
                                   finetune_tiff_close, finetune_tiff_size, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

// TIFFGetField and TIFFSetField are variadic, which Swift cannot call.

static inline uint16_t finetune_tiff_short(TIFF *tiff, uint32_t tag, uint16_t otherwise) {
    uint16_t value = otherwise;
    return TIFFGetFieldDefaulted(tiff, tag, &value) ? value : otherwise;
}

static inline uint32_t finetune_tiff_long(TIFF *tiff, uint32_t tag, uint32_t otherwise) {
    uint32_t value = otherwise;
    return TIFFGetFieldDefaulted(tiff, tag, &value) ? value : otherwise;
}

/// The tag's number if the file has it; 0 if it does not.
static inline int finetune_tiff_own_short(TIFF *tiff, uint32_t tag, uint16_t *value) { return TIFFGetField(tiff, tag, value); }

/// The XMP packet and its bytes; NULL without one.
static inline const void *finetune_tiff_xmp(TIFF *tiff, uint32_t *count) {
    void *packet = NULL;
    return TIFFGetField(tiff, TIFFTAG_XMLPACKET, count, &packet) ? packet : NULL;
}

/// The first extra sample's meaning (EXTRASAMPLE_…), or -1 without one.
static inline int finetune_tiff_first_extra_sample(TIFF *tiff) {
    uint16_t count = 0, *meanings = NULL;
    return TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &count, &meanings) && count > 0 && meanings ? meanings[0] : -1;
}

/// The three columns of a palette, 2^bits numbers of 16 bits each.
static inline int finetune_tiff_palette(TIFF *tiff, uint16_t **red, uint16_t **green, uint16_t **blue) {
    return TIFFGetField(tiff, TIFFTAG_COLORMAP, red, green, blue);
}

/// Asks libtiff to turn the YCbCr of JPEG-compressed strips into RGB.
static inline int finetune_tiff_expect_rgb_from_jpeg(TIFF *tiff) {
    return TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
}

/// The message as a C string: a Swift tuple of 200 characters is none.
static inline const char *finetune_tiff_message(const struct finetune_tiff_memory *memory) { return memory->message; }
