// The mean of each channel over the image: forward and backward.

internal import CFinetuneDNNL

extension CompiledProgram {
    func compileGlobalAverage(_ step: Step) throws -> CompiledValue {
        try makeFloats(step.input, step)
        let (_, channels, height, width) = try image(step.input, step)
        let plain = try copiedChannelsLast(step.input, step)
        let means = builder.newBuffer(batch * channels * 4)
        builder.addLoop([plain, means]) { [batch] addresses in
            RowKernels.means(
                addresses[0].floats, images: batch, pixels: height * width, channels: channels,
                into: addresses[1].floats)
        }
        return CompiledValue(form: .rows(channels), operand: means)
    }
}

extension CompiledTraining {
    func compileGlobalAverage(_ step: Step) throws -> CompiledValue {
        let (layout, channels, height, width) = try image(step.input, step)
        let (plain, pixels) = (try channelsLast(step.input, step), height * width)
        let x = try builder.copied(step.name, values[step.input].operand, layout, to: plain)
        let y = builder.newBuffer(batch * channels * 4)
        builder.addLoop([x, y]) { [batch] addresses in
            RowKernels.means(
                addresses[0].floats, images: batch, pixels: pixels, channels: channels, into: addresses[1].floats)
        }
        tape.append { [self] in
            guard values[step.input].needsGradient, let dy = gradient(step.output) else { return }
            let dx = builder.newBuffer(plain.byteCount)
            builder.addLoop([dy.operand, dx]) { [batch] addresses in
                RowKernels.meansBackward(
                    addresses[0].floats, images: batch, pixels: pixels, channels: channels, into: addresses[1].floats)
            }
            try contribute(dx, plain, to: step.input, step)
        }
        return CompiledValue(form: .rows(channels), operand: y, needsGradient: values[step.input].needsGradient)
    }
}

extension RowKernels {
    /// The mean of each channel over an image's pixels, channels last.
    ///
    /// oneDNN's average pooling rounds its result to the program's precision; a mean of bfloat16 deserves better.
    static func means(
        _ x: UnsafePointer<Float>, images: Int, pixels: Int, channels: Int, into y: UnsafeMutablePointer<Float>
    ) {
        let factor = 1 / Float(pixels)
        for image in 0..<images {
            let y = y + image * channels
            y.update(repeating: 0, count: channels)
            for pixel in 0..<pixels {
                let row = x + (image * pixels + pixel) * channels
                for channel in 0..<channels { y[channel] += row[channel] }
            }
            for channel in 0..<channels { y[channel] *= factor }
        }
    }

    /// The gradient of `means`: every pixel gets its share.
    static func meansBackward(
        _ dy: UnsafePointer<Float>, images: Int, pixels: Int, channels: Int, into dx: UnsafeMutablePointer<Float>
    ) {
        let factor = 1 / Float(pixels)
        for image in 0..<images {
            let dy = dy + image * channels
            for pixel in 0..<pixels {
                let row = dx + (image * pixels + pixel) * channels
                for channel in 0..<channels { row[channel] = dy[channel] * factor }
            }
        }
    }
}
