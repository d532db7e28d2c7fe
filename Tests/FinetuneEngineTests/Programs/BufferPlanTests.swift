// Where a program's buffers lie in its memory.

import Testing

@testable import FinetuneEngine

@Suite("A buffer plan") struct BufferPlanTests {
    @Test("lets buffers share bytes only when their lives do not overlap")
    func noOverlap() {
        var numbers = Numbers(seed: 3)
        let buffers = (0..<60).map { index in
            BufferPlan.Buffer(
                byteCount: 1 + Int(abs(numbers.next()) * 5000), firstUse: index,
                lastUse: index + Int(abs(numbers.next()) * 6))
        }
        let plan = BufferPlan(buffers)
        for a in buffers.indices {
            #expect(plan.offsets[a] % 64 == 0 && plan.offsets[a] + buffers[a].byteCount <= plan.byteCount)
            for b in 0..<a where buffers[a].overlaps(buffers[b]) {
                #expect(
                    plan.offsets[a] + buffers[a].byteCount <= plan.offsets[b]
                        || plan.offsets[b] + buffers[b].byteCount <= plan.offsets[a])
            }
        }
        #expect(plan.byteCount < buffers.reduce(0) { $0 + $1.byteCount })
    }
}
