// Kept features come back as they were kept.

import FinetuneEngine
import FinetuneModels
import TestSupport
import Testing

@testable import FinetunePipeline

@Suite("A store of features") struct FeatureStoreTests {
    @Test("gives back what was kept, rounded, in memory and on disk", arguments: Element.allCases)
    func roundTrip(_ element: Element) throws {
        let temporary = try TemporaryCache()
        let stores = [
            FeatureStore(inMemory: valuesPerRow, element: element), try temporary.store(element),
        ]
        for store in stores {
            #expect(store.bytesPerRow >= valuesPerRow * element.byteCount && store.bytesPerRow % 64 == 0)
            for number in 0..<20 { store.insert(number) }
            store.insert(3, view: 1)
            store.insert(3, view: 1)
            #expect(store.count == 21 && store.failure == nil)
            #expect(store.intact(0..<20) == Array(0..<20))
            #expect(store.row(3, view: 1) == store.row(3) && store.row(4, view: 1) == nil && store.row(20) == nil)
            #expect(store.contains(image(3), view: 1) && !store.contains(image(3), view: 2))
            #expect(!store.contains(image(20), view: 0))
        }
        #expect((rounded(values(0), element) == values(0)) == (element == .float32))
    }

    @Test("keeps more rows in memory than a block holds")
    func blocks() {
        let store = FeatureStore(inMemory: 1 << 20, element: .bfloat16)
        for number in 0..<18 {
            let values = [Float](repeating: Float(number), count: 1 << 20)
            store.insert(image(number), view: 0, values.span)
        }
        #expect(store.row(0)?.last == 0 && store.row(8)?.first == 8 && store.row(17)?.last == 17)
    }

    @Test("serves many tasks at once, which keep and read the same rows", arguments: [true, false])
    func tasks(_ isInMemory: Bool) async throws {
        let temporary = try TemporaryCache()
        let store =
            isInMemory ? FeatureStore(inMemory: valuesPerRow, element: .bfloat16) : try temporary.store()
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for number in 0..<40 {
                        store.insert((number + task * 3) % 40)
                        #expect(store.intact(number..<number + 1).count == (store.row(number) == nil ? 0 : 1))
                    }
                }
            }
        }
        #expect(store.count == 40 && store.intact(0..<40).count == 40)
    }

    @Test("is none where nothing is kept and nothing is there to be found", arguments: [true, false])
    func onlyRead(hasCache: Bool) throws {
        let temporary = try TemporaryCache()
        let model = Model(
            network: Network(
                name: "a ReLU", inputChannels: 3,
                nodes: [Node("relu", stage: "stem", .activation(.relu), inputs: [Node.image])]),
            weights: [:], recipe: nil, dialect: "test")
        let keeping = FeatureKeeping.reading(hasCache ? temporary.cache : nil, element: .float32)
        let (store, problem) = try keeping.makeStore(model, node: "relu", precision: .fp32, outputShape: [3])
        #expect(store == nil && problem == nil)
    }
}
