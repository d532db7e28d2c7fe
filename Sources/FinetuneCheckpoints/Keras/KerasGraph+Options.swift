// The options of Keras' layers that are known here; any other is named in a warning.

internal import FinetuneFiles

extension KerasGraph {
    /// Options that every class has, or that change nothing once a network is trained.
    private static let common: Set = [
        "name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape", "sparse", "ragged", "optional",
        "input_dtype", "activity_regularizer", "data_format", "seed", "build_config", "registered_name",
        "shared_object_id",
        "lora_rank", "lora_alpha", "quantization_config", "autocast", "batch_size", "noise_shape", "rate", "stddev",
        "l1", "l2",
    ]

    private static let own: [String: Set<String>] = [
        "Conv2D": [
            "filters", "kernel_size", "strides", "padding", "dilation_rate", "groups", "activation", "use_bias",
            "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer", "kernel_constraint",
            "bias_constraint",
        ],
        "Dense": [
            "units", "activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer",
            "bias_regularizer", "kernel_constraint", "bias_constraint",
        ],
        "BatchNormalization": [
            "axis", "momentum", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer",
            "moving_mean_initializer", "moving_variance_initializer", "beta_regularizer", "gamma_regularizer",
            "beta_constraint", "gamma_constraint", "synchronized", "renorm", "renorm_clipping", "renorm_momentum",
            "fused", "virtual_batch_size", "adjustment",
        ],
        "Activation": ["activation"], "ReLU": ["max_value", "negative_slope", "threshold"],
        "LeakyReLU": ["alpha", "negative_slope"], "ELU": ["alpha"], "Softmax": ["axis"], "UnitNormalization": ["axis"],
        "MaxPooling2D": ["pool_size", "strides", "padding"], "AveragePooling2D": ["pool_size", "strides", "padding"],
        "GlobalAveragePooling2D": ["keepdims"], "ZeroPadding2D": ["padding"], "Reshape": ["target_shape"],
        "Rescaling": ["scale", "offset"], "Normalization": ["axis", "mean", "variance", "invert"],
        "Resizing": [
            "height", "width", "interpolation", "antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode",
            "fill_value",
        ],
        "CenterCrop": ["height", "width"], "Add": [], "Multiply": ["axis"], "Flatten": [],
    ]

    /// Says that a layer, or a model, was told to compute as in training whenever it is called.
    mutating func warnAboutTraining(_ name: String, _ kind: String) {
        warnings.append(
            "The layer '\(name)' (\(kind)) is called with training=True, by which Keras 2 computes as in training for every image: batch norms with the batch's own statistics, dropout and augmentation at random. Here it computes as at inference."
        )
    }

    /// Names the options of a layer that are not known here, and refuses none: what they do is not known.
    mutating func warnAboutOptions(of layer: Layer) {
        guard let own = Self.own[layer.kind] else { return }
        let unknown = (layer.config.members ?? []).map(\.key).filter { !own.contains($0) && !Self.common.contains($0) }
        guard !unknown.isEmpty else { return }
        warnings.append(
            "The layer '\(layer.name)' (\(layer.kind)) has options that are not known here and not followed: \(unknown.joined(separator: ", "))."
        )
    }
}
