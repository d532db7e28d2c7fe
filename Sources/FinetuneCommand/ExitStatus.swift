// Every error's exit code, in one place: the public contract's list.

internal import FinetuneCheckpoints
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneRanks
internal import FinetuneTraining

/// How the program ends.
enum ExitStatus: Int32 {
    case unexpected = 1
    case gate = 3
    case usage = 64
    case badData = 65
    case inputMissing = 66
    case unavailable = 69
    case diverged = 70
    case cannotCreate = 73
    case inputOutput = 74
    case stopped = 75
    case interrupted = 130

    /// The code of an error of one of our rooms; nil for others.
    init?(_ error: any Error) {
        switch error {
        case is GateError: self = .gate
        case is OutputError: self = .inputOutput
        case is UnavailableError, is RanksError: self = .unavailable
        case is UsageError, is SettingsError, is FreezeError, is ArchitectureError: self = .usage
        case let error as FileError:
            switch error.kind {
            case .missing: self = .inputMissing
            case .malformed: self = .badData
            case .cannotCreate: self = .cannotCreate
            case .inputOutput: self = .inputOutput
            }
        case let error as DatasetError: self = error.kind == .missing ? .inputMissing : .badData
        case let error as CheckpointError:
            switch error.kind {
            case .malformed: self = .badData
            case .incomplete: self = .inputMissing
            case .helperMissing: self = .unavailable
            case .cannotWrite, .system: self = .inputOutput
            }
        case let error as TrainingError:
            switch error.kind {
            case .unusableData: self = .badData
            case .cannotCreate: self = .cannotCreate
            case .diverged: self = .diverged
            case .contradiction: self = .usage
            case .missingRun: self = .inputMissing
            case .stopped: self = .stopped
            }
        case is EngineError, is PipelineError, is PictureError, is ModelError: self = .badData
        default: return nil
        }
    }
}

/// Flags that contradict each other or the model.
struct UsageError: Error, CustomStringConvertible {
    let description: String
}

/// What this machine does not have.
struct UnavailableError: Error, CustomStringConvertible {
    let description: String
}

/// What was asked for was done, and what it shows is not good enough.
struct GateError: Error, CustomStringConvertible {
    let description: String
}
