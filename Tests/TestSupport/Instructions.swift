// What tests need of the processor, and the engine's thread as tests start it.
//
// A build without tests compiles this folder, too, and then there is no module Testing.

#if canImport(Testing)

    package import FinetuneEngine
    internal import Glibc
    package import Testing

    extension Fixtures {
        /// The variables that limit instructions in this test run; programs that tests start get the same.
        package static var instructionVariables: [String: String] {
            ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "OPENBLAS_CORETYPE"].reduce(into: [:]) { variables, name in
                variables[name] = getenv(name).map { String(cString: $0) }
            }
        }
    }

    extension Trait where Self == ConditionTrait {
        /// Skips a test, by name, on a processor without native instructions for a precision.
        package static func needs(_ precision: Precision) -> ConditionTrait {
            .enabled(
                if: precision.isNative,
                "this processor, or the environment, has no instructions for \(precision.rawValue)")
        }

        /// Skips a test, by name, on a processor without a set of instructions.
        package static func needs(instructions name: String) -> ConditionTrait {
            .enabled(
                if: Machine.instructionSets.contains { $0.name == name && $0.isUsed },
                "this processor, or the environment, has no \(name)")
        }
    }

    extension EngineThread {
        /// A thread on which a kernel of oneDNN with an unknown name fails the test.
        package convenience init(threads: Int) {
            self.init(threads: threads) {
                Issue.record("oneDNN uses the kernel '\($0)', which KernelName does not know")
            }
        }
    }

#endif
