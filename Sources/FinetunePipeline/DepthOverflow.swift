// Pictures of 16 bits whose numbers a model's depth does not hold: counted while images are decoded.

internal import FinetuneDatasets
internal import FinetuneFiles
internal import Synchronization

/// Collects the pictures whose numbers are cut off. Safe to use from several threads at once.
final class DepthOverflow: Sendable {
    private let depth: PictureDepth
    private let state = Mutex((pictures: Set<UInt64>(), highest: 0))

    init(_ depth: PictureDepth) { self.depth = depth }

    func note(_ picture: Picture, _ hash: ContentHash) {
        guard let highest = picture.highest, highest > depth.largest else { return }
        state.withLock { state in
            state.pictures.insert(hash.half)
            state.highest = max(state.highest, highest)
        }
    }

    /// A sentence; nil if no picture was cut off.
    var warning: String? {
        let (count, highest) = state.withLock { ($0.pictures.count, $0.highest) }
        guard count > 0 else { return nil }
        return
            "\(count) picture\(count == 1 ? "" : "s") of 16 bits \(count == 1 ? "has" : "have") values above \(depth.largest), the largest that --depth \(depth.bits) holds: they are cut off. The highest is \(highest)."
    }
}
