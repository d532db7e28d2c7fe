// What can go wrong in the engine although the network is well formed: a library refuses, or an image does not fit.

internal import FinetuneFiles

/// A network or a size that the engine cannot run.
package struct EngineError: Error, Sendable, CustomStringConvertible {
    package let description: String

    static func unsupported(_ node: String, _ reason: String) -> EngineError {
        EngineError(description: "cannot run '\(node)': \(reason)")
    }

    static func tooSmall(_ node: String, height: Int, width: Int) -> EngineError {
        EngineError(
            description:
                "cannot run '\(node)' on images of this size, of which \(height)×\(width) pixels are left there. "
                + "Try a larger --size.")
    }

    static func tooMuchMemory(_ byteCount: Int) -> EngineError {
        EngineError(
            description: "cannot run the network: a batch of such images needs \(byteCount.bytesText), "
                + "this machine has \(Machine.physicalMemory.bytesText). Try a smaller --size.")
    }

    static func missingTensor(_ name: String) -> EngineError {
        EngineError(description: "cannot compile the network: the weights hold no '\(name)'")
    }

    static func wrongShape(_ name: String, found: [Int], expected: [Int]) -> EngineError {
        EngineError(description: "cannot compile the network: '\(name)' is \(found), expected \(expected)")
    }

    static func matrixKernels(_ kernels: String, lacking instructions: String) -> EngineError {
        EngineError(
            description: "cannot multiply matrices: OpenBLAS uses kernels for \(kernels), which need \(instructions); "
                + "this processor has none. Unset OPENBLAS_CORETYPE.")
    }

    static func library(_ action: String, status: Int) -> EngineError {
        EngineError(
            description:
                "cannot \(action): oneDNN answered with status \(status). Try --precision fp32, or: finetune --version"
        )
    }
}
