// The loss of a step, and what else it is given beside its images.

internal import Glibc

/// What one step of training is given beside its images, and what it gives back.
final class TrainingFeed {
    let batch: Int
    let classes: Int
    /// Probabilities, one row an image.
    var targets: [Float]
    /// The factor of each image's loss; 0 for what only fills the batch.
    var imageWeights: [Float]
    /// The factor of each class's part of the loss.
    let classWeights: [Float]
    /// The key of the random numbers of dropout.
    var dropoutKey: UInt64 = 0
    /// The place of the first image in the whole batch of all ranks.
    var firstRow = 0
    /// The sum of the images' weighted losses.
    private(set) var loss = 0.0
    /// Images whose largest logit is at the largest target, among those that count.
    private(set) var hits = 0
    private(set) var logits: [Float]

    init(batch: Int, classWeights: [Float]) {
        let classes = classWeights.count
        self.batch = batch
        self.classWeights = classWeights
        self.classes = classes
        targets = [Float](repeating: 0, count: batch * classes)
        imageWeights = [Float](repeating: 0, count: batch)
        logits = targets
    }

    /// `−Σ tₖ·ln softmax(z)ₖ` with `tₖ` the weighted target, and its gradient `softmax(z)·Σt − t`, in double precision:
    /// `torch.nn.CrossEntropyLoss` with probabilities for targets.
    func computeLoss(_ z: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>) {
        (loss, hits) = (0, 0)
        var powers = [Double](repeating: 0, count: classes)
        for image in 0..<batch {
            let start = image * classes
            var (largest, best, wanted) = (-Double.infinity, 0, 0)
            for k in 0..<classes {
                logits[start + k] = z[start + k]
                let logit = Double(z[start + k])
                // A logit that is no number must not hide among comparisons.
                if logit > largest || logit.isNaN { (largest, best) = (logit, k) }
                if targets[start + k] > targets[start + wanted] { wanted = k }
            }
            var sum = 0.0
            for k in 0..<classes {
                powers[k] = exp(Double(z[start + k]) - largest)
                sum += powers[k]
            }
            let weight = Double(imageWeights[image])
            func target(_ k: Int) -> Double { Double(targets[start + k]) * Double(classWeights[k]) }
            let mass = (0..<classes).reduce(0) { $0 + target($1) }
            for k in 0..<classes {
                let target = target(k)
                if target != 0, weight != 0 { loss += weight * target * (log(sum) + largest - Double(z[start + k])) }
                gradient[start + k] = weight == 0 ? 0 : Float(weight * (powers[k] / sum * mass - target))
            }
            if weight != 0, best == wanted { hits += 1 }
        }
    }
}
