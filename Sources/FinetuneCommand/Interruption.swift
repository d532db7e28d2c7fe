// SIGINT and SIGTERM as a wish to end, which a training asks for between two steps.

internal import Glibc
internal import Synchronization

enum Interruption {
    private static let wish = Atomic(false)

    /// Turns the first of the two signals into a wish; the second ends the program as usual.
    static func watch() {
        _ = wish.load(ordering: .relaxed)  // Made before a handler, which may make nothing.
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                Interruption.wish.store(true, ordering: .relaxed)
                signal(number, SIG_DFL)
            }
        }
    }

    static var isWished: Bool { wish.load(ordering: .relaxed) }
}
