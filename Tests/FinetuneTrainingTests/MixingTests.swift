// Mixed images and targets against torchvision's v2.MixUp and v2.CutMix (scripts/fixtures/mixing.py).

import FinetuneEngine
import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneTraining

private let golden = (try? Fixtures.json("mixing.json")) ?? .null

@Suite("Mixing") struct MixingTests {
    private let shape = golden["shape"]?.integers ?? []
    private let classes = golden["classes"]?.intValue ?? 0
    /// Each image's partner is the one before it.
    private let partners = [3, 0, 1, 2]

    private var images: Tensor { tensor(golden["images"]) }
    private var targets: Tensor {
        Tensor(shape: [shape[0], classes]) { values in
            values.update(repeating: 0)
            for (row, label) in (golden["labels"]?.integers ?? []).enumerated() { values[row * classes + label] = 1 }
        }
    }

    private func tensor(_ json: JSON?) -> Tensor {
        Tensor(shape: shape, values: (json?.numbers ?? []).map { Float($0) })
    }

    private func expect(_ found: Tensor, _ expected: [Double]?, _ tolerance: Double = 2e-6) {
        #expect(found.count == expected?.count)
        for (a, b) in zip(found.values, expected ?? []) { #expect(abs(Double(a) - b) < tolerance) }
    }

    @Test("mixes as MixUp does")
    func mixup() throws {
        let cases = try #require(golden["mixup"]?.arrayValue)
        #expect(!cases.isEmpty)
        for entry in cases {
            let share = try #require(entry["share"]?.doubleValue)
            expect(images.mixed(with: partners, share: share), entry["images"]?.numbers)
            expect(targets.mixed(with: partners, share: share), entry["targets"]?.numbers)
        }
    }

    @Test("cuts as CutMix does, in both orders of memory")
    func cutmix() throws {
        let cases = try #require(golden["cutmix"]?.arrayValue)
        #expect(!cases.isEmpty)
        let (count, channels, height, width) = (shape[0], shape[1], shape[2], shape[3])
        func channelsLast(_ x: Tensor) -> Tensor {
            let values = x.values
            return Tensor(shape: [count, height, width, channels]) { result in
                for place in result.indices {
                    let (pixel, channel) = (place / channels, place % channels)
                    let (image, inside) = (pixel / (height * width), pixel % (height * width))
                    result[place] = values[(image * channels + channel) * height * width + inside]
                }
            }
        }
        for entry in cases {
            let center = try #require(entry["center"]?.integers)
            let box = Mixing.Box(
                share: try #require(entry["share"]?.doubleValue), height: height, width: width,
                center: (center[0], center[1]))
            expect(images.pasting(box, from: partners, .channelsFirst), entry["images"]?.numbers)
            let expected = channelsLast(tensor(entry["images"])).values.map { Double($0) }
            expect(channelsLast(images).pasting(box, from: partners, .channelsLast), expected)
            expect(targets.mixed(with: partners, share: box.share(outside: height * width)), entry["targets"]?.numbers)
        }
    }

    @Test("depends on its random numbers alone, keeps targets' sums, and leaves a single image as it is")
    func draws() {
        for mixing in [Mixing(mixup: 0.4), Mixing(cutmix: 1), Mixing(mixup: 0.4, cutmix: 1)] {
            func mixed(_ stream: UInt64) -> (images: Tensor, targets: Tensor) {
                var random = RandomNumbers(seed: 3, stream: stream)
                return mixing.apply(images, .channelsFirst, targets, &random)
            }
            #expect(mixed(1).images.values == mixed(1).images.values)
            #expect((2..<10).contains { mixed($0).images.values != mixed(1).images.values })
            for row in 0..<shape[0] {
                let sum = (0..<classes).reduce(0) { $0 + mixed(1).targets.values[row * classes + $1] }
                #expect(abs(sum - 1) < 1e-6)
            }
        }
        var random = RandomNumbers(seed: 3, stream: 0)
        let one = images.rows([0])
        #expect(Mixing(mixup: 1).apply(one, .channelsFirst, targets.rows([0]), &random).images.values == one.values)
        #expect(Mixing().apply(images, .channelsFirst, targets, &random).images.values == images.values)
    }
}
