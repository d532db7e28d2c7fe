// libheif for Swift: its structures have grown from release to release.

#ifndef FINETUNE_HEIF_SHIM_H
#define FINETUNE_HEIF_SHIM_H

#include <libheif/heif.h>

/// Options under which every release computes the same: a color that several pixels share is that of each of them.
static inline struct heif_decoding_options *finetune_heif_options(void) {
    struct heif_decoding_options *options = heif_decoding_options_alloc();
#if LIBHEIF_NUMERIC_VERSION >= 0x01100000
    if (options) {
        options->color_conversion_options.preferred_chroma_upsampling_algorithm = heif_chroma_upsampling_nearest_neighbor;
        options->color_conversion_options.only_use_preferred_chroma_algorithm = 1;
    }
#endif
    return options;
}

#endif
