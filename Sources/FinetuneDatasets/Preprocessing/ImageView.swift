// A view of an image: what an augmentation makes of it, the same whenever it is asked for.

package import FinetuneFiles
package import FinetuneModels

/// One of the ways in which an image is shown to a network.
package struct ImageView: Sendable, Equatable {
    package let augmentation: Augmentation
    /// 0 is the image as it is scored; others are varied.
    package let number: Int
    package let seed: UInt64

    package init(_ augmentation: Augmentation, number: Int, seed: UInt64) {
        self.augmentation = augmentation
        self.number = number
        self.seed = seed
    }

    /// The image as it is scored.
    package static let plain = ImageView(.none, number: 0, seed: 0)

    package var isPlain: Bool { augmentation == .none || number == 0 }

    /// What is drawn for an image of this content; see `Augmentation.draw`.
    package func parameters(for hash: ContentHash, width: Int, height: Int, recipe: InputRecipe)
        -> Augmentation.Parameters?
    {
        guard !isPlain else { return nil }
        var random = RandomNumbers(seed: seed ^ hash.low, stream: hash.high &+ UInt64(number))
        return augmentation.draw(width: width, height: height, recipe: recipe, &random)
    }

    /// The name under which what comes of this view of an image is kept.
    package func key(for hash: ContentHash) -> ContentHash {
        isPlain ? hash : ContentHash(of: "\(hash.text) \(augmentation.rawValue) \(number)", key: seed)
    }
}
