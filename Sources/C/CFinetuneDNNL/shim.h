// oneDNN for Swift: one way to create each primitive, for oneDNN 2 (Debian 12) and oneDNN 3.
//
// Version 2 passes memory descriptors as large structs and creates primitives in two steps; version 3 has opaque
// descriptors and one step. Swift sees neither: a layout here is an opaque pointer in both.

#ifndef FINETUNE_DNNL_SHIM_H
#define FINETUNE_DNNL_SHIM_H

#include <dnnl.h>
#include <stdlib.h>

/// The shape, type and memory format of a tensor. Owned; freed by `finetune_layout_free`.
typedef struct finetune_layout *finetune_layout_t;

#if DNNL_VERSION_MAJOR >= 3
#define FINETUNE_MD(layout) ((dnnl_memory_desc_t)(layout))

static inline finetune_layout_t finetune_layout_copy(const_dnnl_memory_desc_t md) {
    dnnl_memory_desc_t copy = NULL;
    return dnnl_memory_desc_clone(&copy, md) == dnnl_success ? (finetune_layout_t)copy : NULL;
}

static inline void finetune_layout_free(finetune_layout_t layout) { dnnl_memory_desc_destroy(FINETUNE_MD(layout)); }

static inline finetune_layout_t finetune_layout_create(int rank, const dnnl_dim_t *dims, dnnl_data_type_t type,
                                                       dnnl_format_tag_t tag) {
    dnnl_memory_desc_t md = NULL;
    return dnnl_memory_desc_create_with_tag(&md, rank, dims, type, tag) == dnnl_success ? (finetune_layout_t)md : NULL;
}
#else
#define FINETUNE_MD(layout) ((dnnl_memory_desc_t *)(layout))

static inline finetune_layout_t finetune_layout_copy(const dnnl_memory_desc_t *md) {
    dnnl_memory_desc_t *copy = (dnnl_memory_desc_t *)malloc(sizeof(*copy));
    if (copy && md) *copy = *md;
    return (finetune_layout_t)copy;
}

static inline void finetune_layout_free(finetune_layout_t layout) { free(layout); }

static inline finetune_layout_t finetune_layout_create(int rank, const dnnl_dim_t *dims, dnnl_data_type_t type,
                                                       dnnl_format_tag_t tag) {
    dnnl_memory_desc_t md;
    if (dnnl_memory_desc_init_by_tag(&md, rank, dims, type, tag) != dnnl_success) return NULL;
    return finetune_layout_copy(&md);
}
#endif

static inline size_t finetune_layout_bytes(finetune_layout_t layout) {
    return dnnl_memory_desc_get_size(FINETUNE_MD(layout));
}

static inline int finetune_layout_equal(finetune_layout_t a, finetune_layout_t b) {
    return dnnl_memory_desc_equal(FINETUNE_MD(a), FINETUNE_MD(b));
}

static inline dnnl_status_t finetune_memory_create(dnnl_memory_t *memory, finetune_layout_t layout,
                                                   dnnl_engine_t engine, void *data) {
    return dnnl_memory_create(memory, FINETUNE_MD(layout), engine, data);
}

/// A copy of one of a primitive's layouts, NULL where it has none.
static inline finetune_layout_t finetune_primitive_layout(const_dnnl_primitive_desc_t pd, dnnl_query_t which) {
    return finetune_layout_copy(dnnl_primitive_desc_query_md(pd, which, 0));
}

/// The type of a tensor's numbers.
static inline dnnl_data_type_t finetune_layout_type(finetune_layout_t layout) {
#if DNNL_VERSION_MAJOR >= 3
    dnnl_data_type_t type = dnnl_data_type_undef;
    dnnl_memory_desc_query(FINETUNE_MD(layout), dnnl_query_data_type, &type);
    return type;
#else
    return FINETUNE_MD(layout)->data_type;
#endif
}

/// Which operation a primitive computes.
static inline dnnl_primitive_kind_t finetune_primitive_kind(const_dnnl_primitive_desc_t pd) {
    dnnl_primitive_kind_t kind = dnnl_undefined_primitive;
    dnnl_primitive_desc_query(pd, dnnl_query_primitive_kind, 0, &kind);
    return kind;
}

/// The name of the kernel that oneDNN chose, such as `jit:avx512_core` or `ref:any`.
static inline const char *finetune_primitive_kernel(const_dnnl_primitive_desc_t pd) {
    const char *name = NULL;
    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&name) == dnnl_success ? name : NULL;
}

/// A function of every number, with oneDNN's α and β.
typedef struct {
    dnnl_alg_kind_t kind;
    float alpha, beta;
} finetune_function_t;

/// What a primitive does to its own sum before it is written. Factors for a sum of 8-bit integers, where `count` is not 0:
/// one for all results or one for each channel.
typedef struct {
    /// The factor of the destination's old value, and the type in which it is read.
    int adds_destination;
    float destination_factor;
    dnnl_data_type_t destination_type;
    /// Another tensor that is added; NULL where there is none.
    finetune_layout_t added;
    int function_count;
    /// Applied one after the other.
    const finetune_function_t *functions;
    int count;
    /// Used by oneDNN 2 alone; oneDNN 3 is given them with every run.
    const float *factors;
    /// The argument whose factors they are in oneDNN 3, and the bits of its dimensions along which they differ.
    int factors_argument, factors_mask;
    /// The bits of the result's dimensions along which they differ, for oneDNN 2.
    int result_mask;
} finetune_post_t;

/// Whether factors are arguments of every run (oneDNN 3) rather than part of the primitive, and are applied before the
/// bias is added rather than after it.
static inline int finetune_factors_are_arguments(void) { return DNNL_VERSION_MAJOR >= 3; }

/// The index of the argument that holds another argument's factors; oneDNN 2 has one for those of the result.
static inline int finetune_factors_argument(int argument) {
#if DNNL_VERSION_MAJOR >= 3
    return DNNL_ARG_ATTR_SCALES | argument;
#else
    (void)argument;
    return DNNL_ARG_ATTR_OUTPUT_SCALES;
#endif
}

/// What stands for factors that oneDNN 2 is given with every run, as oneDNN 3 always is.
static inline float finetune_later_factor(void) { return DNNL_RUNTIME_F32_VAL; }

/// Attributes with a caller-owned scratchpad. The destination's old value or another tensor is added first, then a
/// function applied.
static inline dnnl_status_t finetune_attributes(dnnl_primitive_attr_t *attributes, const finetune_post_t *post) {
    dnnl_status_t status = dnnl_primitive_attr_create(attributes);
    if (status != dnnl_success) return status;
    status = dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user);
    if (status != dnnl_success) return status;
    dnnl_post_ops_t operations;
    status = dnnl_post_ops_create(&operations);
    if (status != dnnl_success) return status;
#if DNNL_VERSION_MAJOR >= 3
    if (post->count) status = dnnl_primitive_attr_set_scales_mask(*attributes, post->factors_argument, post->factors_mask);
    if (status == dnnl_success && post->adds_destination)
        status = dnnl_post_ops_append_sum(operations, post->destination_factor, 0, post->destination_type);
    if (status == dnnl_success && post->added)
        status = dnnl_post_ops_append_binary(operations, dnnl_binary_add, FINETUNE_MD(post->added));
    for (int index = 0; status == dnnl_success && index < post->function_count; index++)
        status = dnnl_post_ops_append_eltwise(operations, post->functions[index].kind, post->functions[index].alpha,
                                              post->functions[index].beta);
#else
    if (post->count)
        status = dnnl_primitive_attr_set_output_scales(*attributes, post->count, post->result_mask, post->factors);
    if (status == dnnl_success && post->adds_destination)
        status = dnnl_post_ops_append_sum_v2(operations, post->destination_factor, post->destination_type);
    if (status == dnnl_success && post->added)
        status = dnnl_post_ops_append_binary(operations, dnnl_binary_add, FINETUNE_MD(post->added));
    for (int index = 0; status == dnnl_success && index < post->function_count; index++)
        status = dnnl_post_ops_append_eltwise(operations, 1.f, post->functions[index].kind,
                                              post->functions[index].alpha, post->functions[index].beta);
#endif
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*attributes, operations);
    dnnl_post_ops_destroy(operations);
    return status;
}

static inline dnnl_status_t finetune_convolution(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                                 const_dnnl_primitive_attr_t attributes, dnnl_prop_kind_t purpose,
                                                 dnnl_alg_kind_t algorithm, finetune_layout_t source,
                                                 finetune_layout_t weights, finetune_layout_t bias,
                                                 finetune_layout_t destination, const dnnl_dim_t *strides, const dnnl_dim_t *dilates,
                                                 const dnnl_dim_t *padding_before, const dnnl_dim_t *padding_after) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_forward_primitive_desc_create(
        pd, engine, purpose, algorithm, FINETUNE_MD(source), FINETUNE_MD(weights), FINETUNE_MD(bias),
        FINETUNE_MD(destination), strides, dilates, padding_before, padding_after, attributes);
#else
    dnnl_convolution_desc_t operation;
    dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
        &operation, purpose, algorithm, FINETUNE_MD(source), FINETUNE_MD(weights), FINETUNE_MD(bias),
        FINETUNE_MD(destination), strides, dilates, padding_before, padding_after);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &operation, attributes, engine, NULL);
#endif
}

static inline dnnl_status_t finetune_pooling(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                             const_dnnl_primitive_attr_t attributes, dnnl_prop_kind_t purpose,
                                             dnnl_alg_kind_t algorithm, finetune_layout_t source,
                                             finetune_layout_t destination, const dnnl_dim_t *strides, const dnnl_dim_t *kernel,
                                             const dnnl_dim_t *padding_before, const dnnl_dim_t *padding_after) {
#if DNNL_VERSION_MAJOR >= 3
    const dnnl_dim_t no_dilation[2] = {0, 0};
    return dnnl_pooling_forward_primitive_desc_create(pd, engine, purpose, algorithm,
                                                      FINETUNE_MD(source), FINETUNE_MD(destination), strides, kernel,
                                                      no_dilation, padding_before, padding_after, attributes);
#else
    dnnl_pooling_desc_t operation;
    dnnl_status_t status =
        dnnl_pooling_forward_desc_init(&operation, purpose, algorithm, FINETUNE_MD(source),
                                       FINETUNE_MD(destination), strides, kernel, padding_before, padding_after);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &operation, attributes, engine, NULL);
#endif
}

static inline dnnl_status_t finetune_elementwise(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                                 const_dnnl_primitive_attr_t attributes, dnnl_prop_kind_t purpose,
                                                 dnnl_alg_kind_t algorithm, finetune_layout_t layout, float alpha,
                                                 float beta) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_eltwise_forward_primitive_desc_create(pd, engine, purpose, algorithm,
                                                      FINETUNE_MD(layout), FINETUNE_MD(layout), alpha, beta, attributes);
#else
    dnnl_eltwise_desc_t operation;
    dnnl_status_t status = dnnl_eltwise_forward_desc_init(&operation, purpose, algorithm,
                                                          FINETUNE_MD(layout), alpha, beta);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &operation, attributes, engine, NULL);
#endif
}

static inline dnnl_status_t finetune_binary(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                              const_dnnl_primitive_attr_t attributes, dnnl_alg_kind_t algorithm,
                                            finetune_layout_t first, finetune_layout_t second,
                                            finetune_layout_t destination) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_binary_primitive_desc_create(pd, engine, algorithm, FINETUNE_MD(first), FINETUNE_MD(second),
                                             FINETUNE_MD(destination), attributes);
#else
    dnnl_binary_desc_t operation;
    dnnl_status_t status = dnnl_binary_desc_init(&operation, algorithm, FINETUNE_MD(first), FINETUNE_MD(second),
                                                 FINETUNE_MD(destination));
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &operation, attributes, engine, NULL);
#endif
}

static inline dnnl_status_t finetune_reorder(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                             const_dnnl_primitive_attr_t attributes, finetune_layout_t source,
                                             finetune_layout_t destination) {
    return dnnl_reorder_primitive_desc_create(pd, FINETUNE_MD(source), engine, FINETUNE_MD(destination), engine,
                                              attributes);
}

/// The product of two matrices.
static inline dnnl_status_t finetune_product(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                             const_dnnl_primitive_attr_t attributes, finetune_layout_t first,
                                             finetune_layout_t second, finetune_layout_t destination) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_matmul_primitive_desc_create(pd, engine, FINETUNE_MD(first), FINETUNE_MD(second), NULL,
                                             FINETUNE_MD(destination), attributes);
#else
    dnnl_matmul_desc_t operation;
    dnnl_status_t status =
        dnnl_matmul_desc_init(&operation, FINETUNE_MD(first), FINETUNE_MD(second), NULL, FINETUNE_MD(destination));
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &operation, attributes, engine, NULL);
#endif
}

// MARK: Gradients. Each is described with the forward primitive that it belongs to.

static inline dnnl_status_t finetune_convolution_backward_data(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const_dnnl_primitive_attr_t attributes,
    const_dnnl_primitive_desc_t forward, dnnl_alg_kind_t algorithm, finetune_layout_t diff_source,
    finetune_layout_t weights, finetune_layout_t diff_destination, const dnnl_dim_t *strides,
    const dnnl_dim_t *dilates, const dnnl_dim_t *padding_before, const dnnl_dim_t *padding_after) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_backward_data_primitive_desc_create(
        pd, engine, algorithm, FINETUNE_MD(diff_source), FINETUNE_MD(weights), FINETUNE_MD(diff_destination), strides,
        dilates, padding_before, padding_after, forward, attributes);
#else
    dnnl_convolution_desc_t operation;
    dnnl_status_t status = dnnl_dilated_convolution_backward_data_desc_init(
        &operation, algorithm, FINETUNE_MD(diff_source), FINETUNE_MD(weights), FINETUNE_MD(diff_destination), strides,
        dilates, padding_before, padding_after);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &operation, attributes, engine, forward);
#endif
}

static inline dnnl_status_t finetune_convolution_backward_weights(
    dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const_dnnl_primitive_attr_t attributes,
    const_dnnl_primitive_desc_t forward, dnnl_alg_kind_t algorithm, finetune_layout_t source,
    finetune_layout_t diff_weights, finetune_layout_t diff_bias, finetune_layout_t diff_destination,
    const dnnl_dim_t *strides, const dnnl_dim_t *dilates, const dnnl_dim_t *padding_before,
    const dnnl_dim_t *padding_after) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_convolution_backward_weights_primitive_desc_create(
        pd, engine, algorithm, FINETUNE_MD(source), FINETUNE_MD(diff_weights), FINETUNE_MD(diff_bias),
        FINETUNE_MD(diff_destination), strides, dilates, padding_before, padding_after, forward, attributes);
#else
    dnnl_convolution_desc_t operation;
    dnnl_status_t status = dnnl_dilated_convolution_backward_weights_desc_init(
        &operation, algorithm, FINETUNE_MD(source), FINETUNE_MD(diff_weights), FINETUNE_MD(diff_bias),
        FINETUNE_MD(diff_destination), strides, dilates, padding_before, padding_after);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &operation, attributes, engine, forward);
#endif
}

static inline dnnl_status_t finetune_pooling_backward(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                                      const_dnnl_primitive_attr_t attributes,
                                                      const_dnnl_primitive_desc_t forward, dnnl_alg_kind_t algorithm,
                                                      finetune_layout_t diff_source,
                                                      finetune_layout_t diff_destination, const dnnl_dim_t *strides,
                                                      const dnnl_dim_t *kernel, const dnnl_dim_t *padding_before,
                                                      const dnnl_dim_t *padding_after) {
#if DNNL_VERSION_MAJOR >= 3
    const dnnl_dim_t no_dilation[2] = {0, 0};
    return dnnl_pooling_backward_primitive_desc_create(
        pd, engine, algorithm, FINETUNE_MD(diff_source), FINETUNE_MD(diff_destination), strides, kernel, no_dilation,
        padding_before, padding_after, forward, attributes);
#else
    dnnl_pooling_desc_t operation;
    dnnl_status_t status =
        dnnl_pooling_backward_desc_init(&operation, algorithm, FINETUNE_MD(diff_source),
                                        FINETUNE_MD(diff_destination), strides, kernel, padding_before, padding_after);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &operation, attributes, engine, forward);
#endif
}

static inline dnnl_status_t finetune_elementwise_backward(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                                          const_dnnl_primitive_attr_t attributes,
                                                          const_dnnl_primitive_desc_t forward,
                                                          dnnl_alg_kind_t algorithm, finetune_layout_t layout,
                                                          float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_eltwise_backward_primitive_desc_create(pd, engine, algorithm, FINETUNE_MD(layout),
                                                       FINETUNE_MD(layout), FINETUNE_MD(layout), alpha, beta, forward,
                                                       attributes);
#else
    dnnl_eltwise_desc_t operation;
    dnnl_status_t status = dnnl_eltwise_backward_desc_init(&operation, algorithm, FINETUNE_MD(layout),
                                                           FINETUNE_MD(layout), alpha, beta);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &operation, attributes, engine, forward);
#endif
}

/// `flags` are those of `dnnl_normalization_flags_t`.
static inline dnnl_status_t finetune_normalization(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                                   const_dnnl_primitive_attr_t attributes, finetune_layout_t layout,
                                                   float epsilon, unsigned flags) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_batch_normalization_forward_primitive_desc_create(
        pd, engine, dnnl_forward_training, FINETUNE_MD(layout), FINETUNE_MD(layout), epsilon, flags, attributes);
#else
    dnnl_batch_normalization_desc_t operation;
    dnnl_status_t status = dnnl_batch_normalization_forward_desc_init(&operation, dnnl_forward_training,
                                                                      FINETUNE_MD(layout), epsilon, flags);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &operation, attributes, engine, NULL);
#endif
}

static inline dnnl_status_t finetune_normalization_backward(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                                            const_dnnl_primitive_attr_t attributes,
                                                            const_dnnl_primitive_desc_t forward,
                                                            finetune_layout_t layout, float epsilon, unsigned flags) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_batch_normalization_backward_primitive_desc_create(pd, engine, dnnl_backward, FINETUNE_MD(layout),
                                                                   FINETUNE_MD(layout), FINETUNE_MD(layout), epsilon,
                                                                   flags, forward, attributes);
#else
    dnnl_batch_normalization_desc_t operation;
    dnnl_status_t status = dnnl_batch_normalization_backward_desc_init(
        &operation, dnnl_backward, FINETUNE_MD(layout), FINETUNE_MD(layout), epsilon, flags);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &operation, attributes, engine, forward);
#endif
}

/// Whether the gradient of a batch norm is given the norm's shifts: oneDNN 2 wants them, oneDNN 3 refuses them.
static inline int finetune_normalization_backward_reads_shift(void) { return DNNL_VERSION_MAJOR < 3; }

/// Whether oneDNN may use a set of instructions: the processor has it, and no environment variable forbids it.
static inline int finetune_may_use(dnnl_cpu_isa_t set) {
    // The instruction sets of oneDNN are bit masks in which a set contains those that it extends.
    return (dnnl_get_effective_cpu_isa() & set) == set;
}

/// Whether this processor multiplies bfloat16 natively.
static inline int finetune_has_native_bfloat16(void) { return finetune_may_use(dnnl_cpu_isa_avx512_core_bf16); }

/// Whether oneDNN has kernels that make do with other instructions for it.
static inline int finetune_emulates_bfloat16(void) { return finetune_may_use(dnnl_cpu_isa_avx512_core); }

/// Whether this processor has vector instructions that oneDNN's kernels for 8-bit integers are written for.
static inline int finetune_has_integer_kernels(void) { return finetune_may_use(dnnl_cpu_isa_avx2); }

/// Whether it adds four products of 8-bit integers in 32 bits (VNNI). Without, two are added in 16 bits, which saturate.
static inline int finetune_has_wide_integer_sums(void) {
    return finetune_may_use(dnnl_cpu_isa_avx512_core_vnni) || finetune_may_use(dnnl_cpu_isa_avx2_vnni);
}

/// Whether oneDNN's kernels block channels by eight, as they do without AVX-512; with it they block them by sixteen.
static inline int finetune_blocks_by_eight(void) { return !finetune_may_use(dnnl_cpu_isa_avx512_core); }

// The OpenMP run time that oneDNN's Debian build uses; Swift has no header for it.
void omp_set_num_threads(int threads);
int omp_get_thread_limit(void);
void omp_set_dynamic(int is_dynamic);
int omp_get_max_active_levels(void);
void omp_set_max_active_levels(int levels);
int omp_get_num_procs(void);
int omp_get_num_threads(void);
/// How many threads the caller's next loop has.
int omp_get_max_threads(void);
int omp_get_thread_num(void);
/// What `#pragma omp parallel` becomes: calls `function` on every thread of the caller's pool.
void GOMP_parallel(void (*function)(void *), void *context, unsigned threads, unsigned flags);

/// Sets the caller's loops to exactly `threads` threads, or to OMP_THREAD_LIMIT if that is less. Kernels of oneDNN that
/// divide work by `omp_get_max_threads` silently compute wrong results if a loop then has fewer threads. So the variables
/// that could reduce the number later have no effect (OMP_DYNAMIC, OMP_MAX_ACTIVE_LEVELS).
static inline void finetune_lead_threads(int threads) {
    int limit = omp_get_thread_limit();
    omp_set_dynamic(0);
    if (omp_get_max_active_levels() < 1) omp_set_max_active_levels(1);
    omp_set_num_threads(threads < limit ? threads : limit);
}

#endif
