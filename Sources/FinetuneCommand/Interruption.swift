// SIGINT, SIGTERM, SIGHUP, SIGXCPU and SIGQUIT. A training that steps is asked to end and writes a checkpoint; everything else ends at
// once, and leaves nothing half-written.

internal import CFinetuneSignals
internal import FinetuneFiles
internal import FinetuneRanks
internal import Glibc
internal import Synchronization

enum Interruption {
    private struct State {
        var isWished = false
        /// Whether the command asks for `isWished` itself, so that the first signal need not end the program.
        var isAwaited = false
        /// Whether `--resume` would find something to continue.
        var canResume: @Sendable () -> Bool = { FileSystem.arguments.contains("--resume") }
    }

    private static let state = Mutex(State())

    /// Takes these signals over, and those of crashes; a file that may not grow is an error of writing.
    static func watch() {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        // Swift's own traces of crashes stay available on request.
        if FileSystem.variable("SWIFT_BACKTRACE")?.contains("enable=yes") != true { finetune_watch_crashes() }
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let reading = ends[0]
        guard BackgroundThread.start({ listen(reading) }) else { return }
        let numbers = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU]
        finetune_pass_on_signals(ends[1], numbers, Int32(numbers.count))
    }

    private static func listen(_ descriptor: Int32) {
        var number: UInt8 = 0
        while true {
            let count = read(descriptor, &number, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1 else { return }
            let canResume: Bool? = state.withLock { state in
                defer { state.isWished = true }
                let waits = state.isAwaited && !state.isWished && Int32(number) != SIGQUIT
                return waits ? nil : state.canResume()
            }
            guard let canResume else { continue }
            // If one process of several fails, the launcher ends the others, and the first has said why.
            if Launcher.ofThisProcess == nil {
                StandardStream.error.write(
                    canResume
                        ? "finetune: stopped. Add --resume to continue.\n"
                        : "finetune: interrupted before there was anything to resume. Start the same command again.\n")
            }
            ProgramEnd.now(canResume ? .stopped : .interrupted)
        }
    }

    static var isWished: Bool { state.withLock { $0.isWished } }

    /// Says whether the program looks for the wish itself from now on.
    static func await(_ isAwaited: Bool) { state.withLock { $0.isAwaited = isAwaited } }

    /// Says how to tell whether `--resume` would find something to continue.
    static func resumes(where canResume: @escaping @Sendable () -> Bool) {
        state.withLock { state in
            let before = state.canResume
            state.canResume = { before() || canResume() }
        }
    }
}

/// The end of the program from any thread.
enum ProgramEnd {
    /// Ends the program without a word, and without what libraries do at the end: other threads still run.
    static func now(_ status: ExitStatus) -> Never {
        TemporaryFiles.removeAll()
        _exit(status.rawValue)
    }
}

/// A thread beside the tasks, for waiting.
enum BackgroundThread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void

        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// - Returns: Whether the system had one.
    static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        let context = Unmanaged.passRetained(Body(body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        if status == 0 { pthread_detach(thread) } else { context.release() }
        return status == 0
    }
}
