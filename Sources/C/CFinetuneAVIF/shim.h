// libavif for Swift: types and names that differ between its releases 0.11 and 1.

#ifndef FINETUNE_AVIF_SHIM_H
#define FINETUNE_AVIF_SHIM_H

#include <avif/avif.h>

/// The EXIF number of the turn that a picture's container asks for. The same numbers as Pillow's.
static inline int finetune_avif_orientation(const avifImage *image) {
#if AVIF_VERSION_MAJOR >= 1
    const int sideways = image->imir.axis;
#else
    const int sideways = image->imir.mode;
#endif
    const int is_mirrored = (image->transformFlags & AVIF_TRANSFORM_IMIR) != 0;
    const int quarters = image->transformFlags & AVIF_TRANSFORM_IROT ? image->irot.angle : 0;
    switch (quarters) {
        case 1: return is_mirrored ? (sideways ? 7 : 5) : 8;
        case 2: return is_mirrored ? (sideways ? 4 : 2) : 3;
        case 3: return is_mirrored ? (sideways ? 5 : 7) : 6;
        default: return is_mirrored ? (sideways ? 2 : 4) : 1;
    }
}

/// A picture of 8 bits with the colors, alpha and layout of another, and without its pixels; NULL without memory.
static inline avifImage *finetune_avif_image_of_8_bits(const avifImage *image) {
    avifImage *made = avifImageCreate(image->width, image->height, 8, image->yuvFormat);
    if (!made) return NULL;
    made->yuvRange = image->yuvRange;
    made->yuvChromaSamplePosition = image->yuvChromaSamplePosition;
    made->colorPrimaries = image->colorPrimaries;
    made->transferCharacteristics = image->transferCharacteristics;
    made->matrixCoefficients = image->matrixCoefficients;
    made->alphaPremultiplied = image->alphaPremultiplied;
    avifImageAllocatePlanes(made, image->alphaPlane ? AVIF_PLANES_ALL : AVIF_PLANES_YUV);
    if (!made->yuvPlanes[AVIF_CHAN_Y] || (image->alphaPlane && !made->alphaPlane)) {
        avifImageDestroy(made);
        return NULL;
    }
    return made;
}

/// Takes the upper 8 bits of each number of a plane; does nothing if there is none.
static inline void finetune_avif_narrow(
    const uint8_t *from, uint32_t from_bytes, uint8_t *to, uint32_t to_bytes, uint32_t width, uint32_t height,
    uint32_t depth) {
    if (!from || !to) return;
    for (uint32_t y = 0; y < height; y++) {
        const uint16_t *source = (const uint16_t *)(from + (size_t)y * from_bytes);
        uint8_t *target = to + (size_t)y * to_bytes;
        for (uint32_t x = 0; x < width; x++) target[x] = (uint8_t)(source[x] >> (depth - 8));
    }
}

/// The picture's upper 8 bits; NULL without memory.
static inline avifImage *finetune_avif_narrowed(const avifImage *image) {
    avifImage *made = finetune_avif_image_of_8_bits(image);
    if (!made) return NULL;
    const int is_halved_across = image->yuvFormat == AVIF_PIXEL_FORMAT_YUV422 || image->yuvFormat == AVIF_PIXEL_FORMAT_YUV420;
    const int is_halved_down = image->yuvFormat == AVIF_PIXEL_FORMAT_YUV420;
    for (int plane = 0; plane < 3; plane++) {
        uint32_t width = plane && is_halved_across ? (image->width + 1) / 2 : image->width;
        uint32_t height = plane && is_halved_down ? (image->height + 1) / 2 : image->height;
        finetune_avif_narrow(
            image->yuvPlanes[plane], image->yuvRowBytes[plane], made->yuvPlanes[plane], made->yuvRowBytes[plane], width,
            height, image->depth);
    }
    finetune_avif_narrow(
        image->alphaPlane, image->alphaRowBytes, made->alphaPlane, made->alphaRowBytes, image->width, image->height,
        image->depth);
    return made;
}

/// Converts a picture of 8 bits to red, green and blue, or those and alpha; what libavif answers.
static inline avifResult finetune_avif_convert(const avifImage *image, int has_alpha, uint8_t *pixels) {
    avifRGBImage rgb;
    avifRGBImageSetDefaults(&rgb, image);
    rgb.format = has_alpha ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
    rgb.depth = 8;
    rgb.ignoreAlpha = !has_alpha;
    rgb.pixels = pixels;
    rgb.rowBytes = image->width * (has_alpha ? 4 : 3);
    return avifImageYUVToRGB(image, &rgb);
}

#endif
