// Work that falls into pieces, done on lanes side by side and taken in order: a pipeline of bounded length.

/// Runs pieces of work on numbered lanes.
enum LaneStream {
    /// Pieces that wait for a lane while it works, so that none is ever idle.
    private static let piecesPerLane = 2
    /// Pieces that may be done before their turn, a lane.
    private static let windowPerLane = 4

    /// Does all pieces; each lane begins its next one as soon as it can.
    ///
    /// - Parameters:
    ///   - pieces: Their number.
    ///   - lanes: At least 1.
    ///   - work: Does a piece on a lane. A lane has one piece at a time where its work runs on one thread.
    ///   - consume: Is given the pieces in order. What it throws ends the work.
    static func run<Piece: Sendable>(
        pieces: Int, lanes: Int, _ work: @escaping @Sendable (_ piece: Int, _ lane: Int) async throws -> Piece,
        consume: (_ piece: Int, Piece) throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: (piece: Int, lane: Int, made: Piece).self) { group in
            var waiting = (0..<lanes * piecesPerLane).map { $0 % lanes }
            var (next, due) = (0, 0)
            var early: [Int: Piece] = [:]
            func start() {
                while next < min(pieces, due + lanes * windowPerLane), !waiting.isEmpty {
                    let (piece, lane) = (next, waiting.removeFirst())
                    group.addTask { (piece, lane, try await work(piece, lane)) }
                    next += 1
                }
            }
            start()
            while let done = try await group.next() {
                waiting.append(done.lane)
                early[done.piece] = done.made
                while let made = early.removeValue(forKey: due) {
                    try consume(due, made)
                    due += 1
                    start()
                }
                start()
            }
        }
    }
}
