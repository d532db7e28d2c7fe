// Names of kernels: those of the library that is installed, and invented ones.

import FinetuneFiles
import Synchronization
import TestSupport
import Testing

@testable import FinetuneEngine

@Suite("A kernel's name") struct KernelNameTests {
    @Test(
        "says what the engine depends on, in oneDNN 2.6 and 3.7",
        arguments: [
            ("ref:any", true, false, false), ("ref_int8:any", true, false, false),
            ("bnorm_ref:any", true, false, false),
            ("gemm:ref", true, false, false),
            ("ip:", false, true, false), ("ip:x64:gemm:jit", false, true, false),
            ("x64:gemm:jit", false, true, false), ("gemm:jit:bf16", false, true, false),
            ("x64:gemm_s8u8s32:jit", false, true, false),
            ("jit:avx2", false, false, false), ("brgconv:avx512_core_vnni", false, false, false),
            ("brg_conv_fwd:avx2_vnni_2", false, false, false), ("bnorm_jit:avx512_core_bf16", false, false, false),
            ("jit_uni_ncsp_convolution:matmul+brg_matmul:avx2", false, false, false),
            ("jit_uni_ncsp_convolution:conv+brg_conv_fwd:avx10_1_512_amx", false, false, true),
            ("jit_uni_ncsp_convolution:conv+ref:any", true, false, false),
            ("brg_conv_bwd:avx2+brg_conv_fwd:avx2", false, false, false),
            ("brg_conv_bwd:avx10_1_512_amx+brg_conv_fwd:avx10_1_512_amx", false, false, true),
            ("jit_uni_ncsp_convolution:matmul+x64:gemm:jit", false, true, false),
            ("jit_1x1:avx512_core_amx_bf16", false, false, true), ("brg:avx512_core_amx_int8", false, false, true),
            ("brg_matmul:avx10_1_512_amx", false, false, true),
        ])
    func facts(_ text: String, _ isReference: Bool, _ unrolls: Bool, _ multipliesTiles: Bool) {
        let name = KernelName(text)
        #expect(name.isKnown)
        #expect(
            (name.isReference, name.mayUnrollImages, name.multipliesTiles) == (isReference, unrolls, multipliesTiles))
    }

    @Test(
        "that is unknown promises nothing",
        arguments: ["quantum:avx2", "jit:avx4096", "avx2", "", ":", "x64:", "jit:", "jit:avx2:new", "jit_amx:avx9_amx"])
    func unknown(_ text: String) {
        let name = KernelName(text)
        #expect(!name.isKnown && !name.isReference && !name.multipliesTiles && name.mayUnrollImages)
    }

    @Test("that is unknown is reported once, by whichever lane meets it, also to who asks later")
    func reports() {
        let names = Mutex<[String]>([])
        let thread = EngineThread(threads: 2) { name in names.withLock { $0.append(name) } }
        for one in [thread] + thread.lanes { one.report(unknownKernels: ["quantum:avx2"]) }
        #expect(names.withLock { $0 } == ["quantum:avx2"])
        let later = Mutex<[String]>([])
        thread.reportUnknownKernels { name in later.withLock { $0.append(name) } }
        #expect(later.withLock { $0 } == ["quantum:avx2"])
    }

    /// Of operations that the engine does not compile, or of graphics processors.
    private static let others = [
        "deconv", "gnorm", "group", "instance", "lnorm", "layer_normalization", "lrn", "concat", "xe_", "jit:ir",
    ]

    @Test("is in the table for every name that the installed oneDNN holds, also for other processors")
    func library() throws {
        _ = Machine.instructionSets  // The library is loaded.
        let maps = String(decoding: try FileSystem.head(of: "/proc/self/maps", count: 1 << 22), as: UTF8.self)
        let line = try #require(maps.split(separator: "\n").first { $0.contains("libdnnl") })
        let path = String(try #require(line.split(separator: " ").last))
        var found = 0
        for name in Self.names(in: try FileSystem.read(path)) {
            guard !Self.others.contains(where: name.contains) else { continue }
            found += 1
            #expect(KernelName(name).isKnown, "'\(name)' of \(path)")
        }
        #expect(found > 50, "\(path)")
    }

    /// The texts among a file's bytes that look like names of kernels for this processor's family.
    private static func names(in bytes: [UInt8]) -> Set<String> {
        let starts = ["jit", "brg", "brdgmm", "gemm", "x64:gemm", "ref", "simple", "bnorm", "ncsp", "nspc"]
        var names: Set<String> = []
        var word: [UInt8] = []
        for byte in bytes {
            switch byte {
            case 0x30...0x3A, 0x5F, 0x61...0x7A: word.append(byte)
            case 0:
                let text = String(decoding: word, as: UTF8.self)
                let parts = text.split(separator: ":", omittingEmptySubsequences: false)
                if parts.count > 1, parts.allSatisfy({ $0.count > 1 }), starts.contains(where: text.hasPrefix) {
                    names.insert(text)
                }
                word = []
            default: word = []
            }
        }
        return names
    }
}
