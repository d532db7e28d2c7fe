// Ten thousand draws of each parameter against a million of torchvision's: Kolmogorov and Smirnov's distance between
// distributions, and chi-squared where there are few values.

import FinetuneFiles
import FinetuneModels
import Testing

@testable import FinetuneDatasets

@Suite("What augmentations draw")
struct AugmentationDistributionTests {
    static let draws = 10_000
    /// The distance that one in a hundred samples from the same distribution exceeds, 1.628 / √10,000, and what a
    /// thousand quantiles leave out. The draws are the same in every run.
    static let limit = 0.0163 + 0.0005

    /// The largest difference between the share of `sample` and of `reference` that is at most x, over all x.
    static func distance(_ sample: [Double], _ reference: [Double]) -> Double {
        let (sample, reference) = (sample.sorted(), reference.sorted())
        var (ours, theirs, largest) = (0, 0, 0.0)
        while ours < sample.count, theirs < reference.count {
            let x = min(sample[ours], reference[theirs])
            while ours < sample.count, sample[ours] <= x { ours += 1 }
            while theirs < reference.count, reference[theirs] <= x { theirs += 1 }
            let apart = Double(ours) / Double(sample.count) - Double(theirs) / Double(reference.count)
            largest = max(largest, abs(apart))
        }
        return largest
    }

    /// What is drawn for images of a size, as that is seen by a network.
    static func parameters(_ augmentation: Augmentation, side: Int, count: Int = draws) throws
        -> [Augmentation.Parameters]
    {
        let recipe = InputRecipe(height: 224, width: 224, pixels: .torch)
        return try (0..<count).map { image in
            let view = ImageView(augmentation, number: 1, seed: 1)
            return try #require(
                view.parameters(for: ContentHash(of: "image \(image)"), width: side, height: side, recipe: recipe))
        }
    }

    static func compare(_ sample: [Double], _ name: String, _ fixtures: AugmentationFixtures) throws {
        let distance = distance(sample, try fixtures.quantiles(name))
        #expect(distance < limit, "\(name) is \(distance) from torchvision's")
    }

    static func compare(_ sample: [PictureOperation.Rectangle], _ name: String, _ fixtures: AugmentationFixtures)
        throws
    {
        try compare(sample.map { Double($0.columns.lowerBound) }, name + ".left", fixtures)
        try compare(sample.map { Double($0.rows.lowerBound) }, name + ".top", fixtures)
        try compare(sample.map { Double($0.columns.count) }, name + ".width", fixtures)
        try compare(sample.map { Double($0.rows.count) }, name + ".height", fixtures)
        try compare(sample.map { Double($0.columns.count * $0.rows.count) }, name + ".area", fixtures)
        // As stored, in 32 bits: equal ratios must be equal.
        let ratios = sample.map { Double(Float(Double($0.columns.count) / Double(max(1, $0.rows.count)))) }
        try compare(ratios, name + ".ratio", fixtures)
    }

    @Test(
        "Parts have the areas, ratios and places of RandomResizedCrop",
        arguments: [Augmentation.light, .standard, .trivial])
    func parts(augmentation: Augmentation) throws {
        let fixtures = try AugmentationFixtures()
        let drawn = try Self.parameters(augmentation, side: fixtures.manifest.number("cropped"))
        // TrivialAugment's part is drawn as the light one.
        try Self.compare(
            drawn.map { .init(columns: $0.columns, rows: $0.rows) }, augmentation == .standard ? "standard" : "light",
            fixtures)
        // Four standard deviations.
        #expect(abs(drawn.count { $0.isMirrored } - Self.draws / 2) < 200)
    }

    @Test("Angles and colors are those of RandomRotation and ColorJitter")
    func jitter() throws {
        let fixtures = try AugmentationFixtures()
        let drawn = try Self.parameters(.standard, side: 320)
        var samples: [String: [Double]] = [:]
        for operation in drawn.flatMap(\.operations) {
            samples[operation.entry.name, default: []].append(operation.entry.value)
        }
        #expect(samples.count == 5 && samples.values.allSatisfy { $0.count == Self.draws })
        for name in ["brightness", "contrast", "saturation", "hue"] {
            try Self.compare(samples[name] ?? [], name, fixtures)
        }
        try Self.compare(samples["rotate"] ?? [], "angle", fixtures)

        // The four adjustments come in all 24 orders alike: chi-squared with 23 degrees, 1 % exceed 41.6.
        var orders: [String: Int] = [:]
        for operations in drawn.map(\.operations) {
            #expect(operations.first?.entry.name == "rotate")
            orders[operations.dropFirst().map(\.entry.name).joined(separator: " "), default: 0] += 1
        }
        let even = Double(Self.draws) / 24
        let distance = orders.values.reduce(0) { $0 + (Double($1) - even) * (Double($1) - even) / even }
        #expect(orders.count == 24 && distance < 41.6)
    }

    @Test("A quarter of the pictures lose a rectangle of RandomErasing")
    func erasing() throws {
        let fixtures = try AugmentationFixtures()
        #expect(try fixtures.manifest.number("erased") == 224)
        let drawn = try Self.parameters(.standard, side: 320, count: 4 * Self.draws)
        let erased = drawn.compactMap(\.erased)
        // Four standard deviations.
        #expect(abs(erased.count - Self.draws) < 350)
        try Self.compare(erased, "erased", fixtures)
    }

    @Test("TrivialAugment draws operations and strengths as often as TrivialAugmentWide")
    func trivial() throws {
        let fixtures = try AugmentationFixtures()
        var counts: [String: (ours: Int, theirs: Int)] = [:]
        func key(_ name: String, _ value: Double) -> String { "\(name) \(value + 0)" }
        for entry in try fixtures.cases("trivial") {
            let fields = try #require(entry.arrayValue)
            let (name, value) = (try #require(fields[0].stringValue), try #require(fields[1].doubleValue))
            counts[key(name, value), default: (0, 0)].theirs += try #require(fields[2].intValue)
        }
        let cells = counts.count
        #expect(cells == 590)
        for drawn in try Self.parameters(.trivial, side: 320) {
            #expect(drawn.operations.count <= 1 && drawn.erased == nil)
            let (name, value) = drawn.operations.first?.entry ?? ("identity", 0)
            counts[key(name, value), default: (0, 0)].ours += 1
        }
        // Every strength is one of torchvision's, to the last bit.
        #expect(counts.count == cells)
        // The chi-squared distance of two samples; of a distribution with 589 degrees 1 % exceed 672.
        #expect(Self.distance(counts.values.map { $0 }) < 672)
        // And of the operations alone: 13 degrees, 27.7.
        let operations = Dictionary(
            counts.map { ($0.key.prefix { $0 != " " }, $0.value) },
            uniquingKeysWith: { ($0.ours + $1.ours, $0.theirs + $1.theirs) })
        #expect(operations.count == 14 && Self.distance(operations.values.map { $0 }) < 27.7)
    }

    static func distance(_ counts: [(ours: Int, theirs: Int)]) -> Double {
        let ours = Double(counts.reduce(0) { $0 + $1.ours })
        let theirs = Double(counts.reduce(0) { $0 + $1.theirs })
        let scale = (theirs / ours).squareRoot()
        return counts.reduce(0) { sum, cell in
            let apart = Double(cell.ours) * scale - Double(cell.theirs) / scale
            return sum + apart * apart / Double(cell.ours + cell.theirs)
        }
    }

    @Test("The distance tells ranges and shapes of distributions apart")
    func fails() throws {
        let fixtures = try AugmentationFixtures()
        func apart(_ name: String, _ sample: (Double) -> Double) throws -> Double {
            let draws = Double(Self.draws)
            return Self.distance(
                (0..<Self.draws).map { sample((Double($0) + 0.5) / draws) }, try fixtures.quantiles(name))
        }
        #expect(try apart("angle") { -15 + 30 * $0 } < Self.limit)
        #expect(try apart("angle") { -14 + 28 * $0 } > Self.limit)
        #expect(try apart("hue") { -0.02 + 0.041 * $0 } > Self.limit)
        // Ratios are drawn by their logarithms.
        #expect(try apart("light.ratio") { 0.9 + 0.2 * $0 } > Self.limit)
        #expect(try apart("standard.ratio") { 0.75 + 7 / 12 * $0 } > Self.limit)
    }
}
