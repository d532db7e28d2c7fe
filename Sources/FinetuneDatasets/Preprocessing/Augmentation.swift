// Small changes to a picture that leave its class alone: what is drawn for each image and view by itself. How it is
// carried out: `Preprocessor+Augmentation.swift`.

package import FinetuneFiles
package import FinetuneModels
internal import Glibc

/// How pictures are varied while a network learns.
public enum Augmentation: String, Sendable, CaseIterable {
    /// Every picture as it is.
    case none
    /// A part of the picture, resized to the network's input and in half of the cases mirrored. The part has 70 to
    /// 100 % of the area that is seen without augmentation, its shape but for 10 %, and any place. For a picture of the
    /// input's shape: torchvision's `RandomResizedCrop(scale=(0.7, 1), ratio=(0.9, 1.1))` and `RandomHorizontalFlip`.
    case light
    /// A part of 35 to 100 % of the area that is seen and of its shape but for 4 to 3, mirrored or not, turned by up
    /// to 15°, its colors varied, and in a quarter of the cases a rectangle erased. With torchvision's names:
    /// `RandomResizedCrop(scale=(0.35, 1), ratio=(3/4, 4/3))`, `RandomHorizontalFlip`, `RandomRotation(15)`,
    /// `ColorJitter(0.2, 0.2, 0.2, 0.02)` and, after `Normalize`, `RandomErasing(0.25, (0.02, 0.2), (0.3, 3.3))`.
    case standard
    /// A part as in `light`, mirrored or not, then one operation of `TrivialAugment` (Mueller and Hutter 2021):
    /// torchvision's `TrivialAugmentWide`.
    case trivial

    /// What is drawn for one picture.
    package struct Parameters: Sendable, Equatable {
        /// The part of the picture that is kept.
        package var columns: Range<Int>
        package var rows: Range<Int>
        package var isMirrored: Bool
        /// What is done to the part once it has the network's size, in this order.
        package var operations: [PictureOperation] = []
        /// What is erased of the network's input.
        package var erased: PictureOperation.Rectangle?
    }

    /// Draws parameters; nil where nothing changes.
    ///
    /// - Parameters:
    ///   - width: Pixels of a row of the picture.
    ///   - height: Rows of the picture.
    ///   - recipe: What the network is shown.
    ///   - random: Numbers that depend on the run's seed, the image and the view alone.
    package func draw(width: Int, height: Int, recipe: InputRecipe, _ random: inout RandomNumbers) -> Parameters? {
        switch self {
        case .none:
            return nil
        case .light:
            return Self.part(of: width, height, recipe, areas: 0.7...1, ratios: 0.9...1.1, &random)
        case .standard:
            var drawn = Self.part(of: width, height, recipe, areas: 0.35...1, ratios: 3 / 4...4 / 3, &random)
            drawn.operations = [.rotate(degrees: random.next(in: -15...15))] + Self.colors(&random)
            drawn.erased = Self.erased(of: recipe, &random)
            return drawn
        case .trivial:
            var drawn = Self.part(of: width, height, recipe, areas: 0.7...1, ratios: 0.9...1.1, &random)
            drawn.operations = TrivialAugment.draw(&random).map { [$0] } ?? []
            return drawn
        }
    }
}

// MARK: - The distributions of torchvision's transforms

extension Augmentation {
    /// `RandomResizedCrop` relative to what is seen without augmentation, and `RandomHorizontalFlip`.
    ///
    /// - Parameters:
    ///   - areas: Of what is seen, drawn evenly.
    ///   - ratios: Width by height as a multiple of what is seen, drawn so that double is as likely as half.
    private static func part(
        of width: Int, _ height: Int, _ recipe: InputRecipe, areas: ClosedRange<Double>, ratios: ClosedRange<Double>,
        _ random: inout RandomNumbers
    ) -> Parameters {
        let aspect = aspect(width, height, recipe)
        var seen = (
            width: min(Double(width), Double(height) * aspect), height: min(Double(height), Double(width) / aspect)
        )
        if recipe.fit == .unscaled, recipe.width <= width, recipe.height <= height {
            seen = (Double(recipe.width), Double(recipe.height))
        }
        let (left, top) = ((width - Int(seen.width)) / 2, (height - Int(seen.height)) / 2)
        var part = (columns: left..<left + max(1, Int(seen.width)), rows: top..<top + max(1, Int(seen.height)))
        // As torchvision: ten tries to fit a part of the drawn area and shape, then the middle.
        for _ in 0..<10 {
            let area = seen.width * seen.height * random.next(in: areas)
            let ratio = aspect * random.nextFactor(in: ratios)
            let wide = Int((area * ratio).squareRoot().rounded())
            let high = Int((area / ratio).squareRoot().rounded())
            guard wide > 0, wide <= width, high > 0, high <= height else { continue }
            part.columns = random.next(wide, within: width)
            part.rows = random.next(high, within: height)
            break
        }
        return Parameters(columns: part.columns, rows: part.rows, isMirrored: random.nextUnit() < 0.5)
    }

    /// Width by height of what is seen without augmentation: the input's if the picture's middle is cut out, the
    /// picture's own if it is squashed or padded.
    private static func aspect(_ width: Int, _ height: Int, _ recipe: InputRecipe) -> Double {
        recipe.fit == .crop || recipe.fit == .unscaled
            ? Double(recipe.width) / Double(recipe.height) : Double(width) / Double(height)
    }

    /// `ColorJitter`: the four adjustments in any order, which matters where levels are cut off at black and white.
    private static func colors(_ random: inout RandomNumbers) -> [PictureOperation] {
        [
            .brightness(random.next(in: 0.8...1.2)), .contrast(random.next(in: 0.8...1.2)),
            .saturation(random.next(in: 0.8...1.2)), .hue(turns: random.next(in: -0.02...0.02)),
        ].shuffled(using: &random)
    }

    /// `RandomErasing`: ten tries to fit a rectangle, which is smaller than the input on both sides, then none.
    private static func erased(of recipe: InputRecipe, _ random: inout RandomNumbers) -> PictureOperation.Rectangle? {
        guard random.nextUnit() < 0.25 else { return nil }
        for _ in 0..<10 {
            let area = Double(recipe.width * recipe.height) * random.next(in: 0.02...0.2)
            // Height by width here, unlike the crop's.
            let ratio = random.nextFactor(in: 0.3...3.3)
            let high = Int((area * ratio).squareRoot().rounded())
            let wide = Int((area / ratio).squareRoot().rounded())
            guard wide < recipe.width, high < recipe.height else { continue }
            let rows = random.next(high, within: recipe.height)
            return .init(columns: random.next(wide, within: recipe.width), rows: rows)
        }
        return nil
    }
}

extension RandomNumbers {
    /// A number of a range, each as likely.
    fileprivate mutating func next(in range: ClosedRange<Double>) -> Double {
        range.lowerBound + (range.upperBound - range.lowerBound) * nextUnit()
    }

    /// A number of a range of positive ones whose logarithms are equally likely.
    fileprivate mutating func nextFactor(in range: ClosedRange<Double>) -> Double {
        exp(next(in: log(range.lowerBound)...log(range.upperBound)))
    }

    /// A place for `count` pixels within `side`, which is at least as many.
    fileprivate mutating func next(_ count: Int, within side: Int) -> Range<Int> {
        let start = Int(next(upperBound: UInt64(side - count + 1)))
        return start..<start + count
    }
}
