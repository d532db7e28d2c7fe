// What the names of oneDNN's kernels say, in one table.
//
// Which kernel a primitive has is told by a name alone, such as `brg_conv_fwd:avx512_core_vnni`, and names change between
// releases. Everything that depends on a kernel asks here. A name that is not in the table is treated as unknown: the
// engine then uses the method that is correct with every kernel, and reports the name. The names are those of oneDNN 2.6 and 3.7,
// of the primitives that the engine compiles; a test reads them out of the library that is installed.

/// The name of a kernel of oneDNN.
struct KernelName: Sendable, Equatable {
    /// How a kernel computes, as far as the engine depends on it.
    private enum Method {
        /// Written to be right rather than fast.
        case reference
        /// Unrolls the image for a matrix product.
        case matrixProduct
        case other
    }

    let text: String
    /// Nil for a kernel that the table does not know.
    private let method: Method?
    private let usesTiles: Bool

    init(_ text: String) {
        self.text = text
        // If a kernel runs another one, that name follows a plus sign; some names begin with the processor's family.
        let words = text.split { $0 == ":" || $0 == "+" }.map(String.init).filter { $0 != "x64" }
        let families = words.compactMap { Self.families[$0] }
        let instructions = words.compactMap { Self.instructions[$0] }
        guard words.count > 1 || Self.singleWords.contains(text), Self.families[words[0]] != nil,
            families.count + instructions.count == words.count
        else {
            (method, usesTiles) = (nil, false)
            return
        }
        method =
            families.contains(.reference) ? .reference : families.contains(.matrixProduct) ? .matrixProduct : .other
        usesTiles = instructions.contains(.tiles)
    }

    /// Whether the table knows it.
    var isKnown: Bool { method != nil }

    /// Whether it is known to be slow: written to be right rather than fast.
    var isReference: Bool { method == .reference }

    /// Whether it is known to multiply tiles (AMX).
    var multipliesTiles: Bool { usesTiles }

    /// Whether it may unroll the image for a matrix product. In oneDNN 2.6 and bfloat16, adding another
    /// tensor then gives wrong results.
    var mayUnrollImages: Bool { method == nil || method == .matrixProduct }

    /// Words for how a kernel computes.
    private static let families: [String: Method] = [
        // Reference kernels.
        "ref": .reference, "ref_int8": .reference, "ref_fused_convolution": .reference, "bnorm_ref": .reference,
        // Matrix products. `ip` is that of a convolution whose window is the image; another name may follow it.
        "ip": .matrixProduct, "gemm": .matrixProduct, "gemm_s8s8s32": .matrixProduct, "gemm_s8u8s32": .matrixProduct,
        // Convolutions.
        "jit": .other, "jit_1x1": .other, "jit_dw": .other, "jit_bf16": .other, "jit_bf16_1x1": .other,
        "jit_int8": .other, "jit_int8_1x1": .other, "jit_uni_int8": .other, "jit_uni_int8_1x1": .other,
        "jit_wino_4x3": .other, "jit_fp32_wino_2x3": .other, "jit_int8_wino": .other, "wino_reorder": .other,
        "brgemm_matmul_copy_reorder_t": .other,
        "jit_uni_ncsp_convolution": .other, "conv": .other, "matmul": .other,
        "brgconv": .other, "brgconv_1x1": .other, "brgconv_strided": .other, "brgconv_bwd_w": .other,
        "brg_conv_fwd": .other, "brg_conv_bwd": .other, "brdgmm_dw": .other,
        // Products of matrices.
        "brg": .other, "brg_matmul": .other, "brgemm": .other, "brgemm_bwd_d": .other, "brgemm_bwd_w": .other,
        // Pooling, activations, changes of layout.
        "jit_int": .other, "jit_direct_copy": .other,
        "simple": .other, "simple_nchw": .other, "simple_nhwc": .other,
        // Batch norms.
        "bnorm_jit": .other, "bnorm_s8_jit": .other, "bnorm_tbb_jit": .other, "ncsp_bnorm": .other,
        "nspc_bnorm": .other,
    ]

    /// Names without a word for instructions.
    private static let singleWords: Set = ["wino_reorder", "brgemm_matmul_copy_reorder_t", "ip:"]

    private enum Instructions {
        case vectors, tiles
    }

    /// Words for the instructions that it uses.
    private static let instructions: [String: Instructions] = [
        "sse41": .vectors, "avx": .vectors, "avx2": .vectors, "avx2_vnni": .vectors, "avx2_vnni_2": .vectors,
        "avx512_core": .vectors, "avx512_core_vnni": .vectors, "avx512_core_bf16": .vectors, "avx10_1_512": .vectors,
        "avx512_core_amx_int8": .tiles, "avx512_core_amx_bf16": .tiles, "avx10_1_512_amx": .tiles,
        "avx10_1_512_amx_fp16": .tiles,
        // Whatever the processor has.
        "any": .vectors, "uni": .vectors, "blk": .vectors, "undef": .vectors,
        // Number types of a matrix product.
        "f32": .vectors, "bf16": .vectors,
    ]
}

/// A kernel that oneDNN chose for a step of a program.
package struct ChosenKernel: Sendable {
    package let step: String
    /// oneDNN's name for it.
    package let name: String
    /// Whether it is a convolution's.
    package let isConvolution: Bool
    /// What its source consists of; nil for other types.
    package let source: Precision?

    /// Whether it is known to be written to be right rather than fast.
    package var isReference: Bool { KernelName(name).isReference }
}
