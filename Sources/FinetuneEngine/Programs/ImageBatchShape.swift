// What a program is given: images of one size, so many at a time.

internal import CFinetuneDNNL

/// The shape and memory order of a program's input.
struct ImageBatchShape {
    var batch: Int
    var channels: Int
    var height: Int
    var width: Int
    var order = ImageOrder.channelsLast

    func layout() throws -> Layout {
        try Layout([batch, channels, height, width], dnnl_f32, order == .channelsLast ? .channelsLast : .plain)
    }
}
