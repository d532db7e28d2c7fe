// An augmented picture on its way to the network: what was drawn, carried out.

internal import FinetuneModels

extension Preprocessor {
    /// Brings a part of a picture to the network's size and channels, changed as was drawn.
    ///
    /// The order is that of torchvision's training transforms: the part at the network's size first, so that every
    /// picture costs the same and a pixel of translation means the same; erasing last, so that nothing moves or
    /// colors the erased pixels.
    /// - Returns: A picture of exactly the recipe's width, height and channels, red first.
    package func crop(_ picture: Picture, _ parameters: Augmentation.Parameters) -> Picture {
        let source = recipe.channels == 1 ? picture.gray : picture
        let part = source.cropped(columns: parameters.columns, rows: parameters.rows)
            .resized(
                width: recipe.width, height: recipe.height, interpolation: recipe.interpolation,
                antialias: recipe.antialias)
        let turned = parameters.isMirrored ? part.mirrored : part
        let changed = parameters.operations.reduce(turned) { $0.applying($1) }
        let whole = recipe.channels == 3 ? changed.color : changed
        return parameters.erased.map { whole.erased($0, levels: meanLevels) } ?? whole
    }

    /// The levels that come closest to 0 once they are scaled, one a channel, red first: what torchvision's
    /// `RandomErasing` leaves behind `Normalize`.
    private var meanLevels: [UInt8] {
        let levels = recipe.mean.map { mean in
            (UInt8.min...UInt8.max).min {
                abs(Double($0) * recipe.scale - mean) < abs(Double($1) * recipe.scale - mean)
            }
        }
        return (recipe.order == .bgr ? levels.reversed() : levels).map { $0 ?? 0 }
    }
}
