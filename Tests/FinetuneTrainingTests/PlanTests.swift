// Plans, phases, rates and health: decisions that are data.

import FinetuneEngine
import FinetuneFiles
import FinetuneModels
import FinetunePipeline
import Glibc
import TestSupport
import Testing

@testable import FinetuneTraining

@Suite("An architecture by name") struct ArchitectureTests {
    /// Parameters of torchvision's classes (their documentation, `num_params`), and of He et al. 2015, table 6, where
    /// the head has ten outputs.
    @Test(
        "has the parameters of the published network",
        arguments: [
            ("resnet18", 1000, 11_689_512), ("resnet34", 1000, 21_797_672), ("resnet50", 1000, 25_557_032),
            ("resnet101", 1000, 44_549_160), ("resnet152", 1000, 60_192_808), ("resnet20", 10, 269_722),
            ("resnet56", 10, 853_018), ("vgg11", 1000, 132_863_336), ("vgg16_bn", 1000, 138_365_992),
            ("vgg19_bn", 1000, 143_678_248),
        ])
    func parameters(_ name: String, _ outputs: Int, _ count: Int) throws {
        #expect(try Architecture(name, outputs: outputs).design.network().parameterCount == count)
    }

    @Test("takes a width and a stem, and refuses other words")
    func words() throws {
        let narrow = try Architecture("resnet18,width=32,stem=3x3", outputs: 5)
        #expect(narrow.imageSize == 64)
        let resNet = try #require(narrow.design as? ResNet)
        #expect(resNet.stemFilters == 32 && resNet.stem == .small)
        for text in [
            "resnet19", "vgg17", "vgg16,stem=3x3", "resnet18,width=0", "resnet18,depth=3", "resnet18,stem", "",
        ] {
            #expect(throws: ArchitectureError.self, "\(text)") { try Architecture(text, outputs: 5) }
        }
    }

    /// Kaiming et al. 2015 with the fan out: variance 2/(filters·height·width).
    @Test("starts from filters of the right variance")
    func variance() throws {
        let model = try Architecture("resnet18", outputs: 5).model(seed: 3)
        for (name, fan) in [("conv1", 64 * 49), ("layer3.0.conv2", 256 * 9)] {
            let values = try #require(model.weights["\(name).weight"]).values.map { Double($0) }
            let mean = values.reduce(0, +) / Double(values.count)
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
            let expected = 2 / Double(fan)
            #expect(abs(mean) < 4 * (expected / Double(values.count)).squareRoot())
            #expect(abs(variance / expected - 1) < 4 * (2 / Double(values.count)).squareRoot())
        }
        let again = try Architecture("resnet18", outputs: 5).model(seed: 3)
        #expect(again.weights["conv1.weight"]?.values == model.weights["conv1.weight"]?.values)
    }
}

@Suite("A freeze plan") struct FreezePlanTests {
    private let network = try? Architecture("resnet18,width=8", outputs: 4).design.network()

    @Test("covers every parameter, and learns from the named stage on")
    func rows() throws {
        let network = try #require(network)
        let plan = try FreezePlan(
            network, learningFrom: "stage3", normalization: .train, stageRateDecay: 0.5)
        #expect(plan.learningParameters + plan.frozenParameters == network.parameterCount)
        #expect(plan.rows.map(\.stage) == ["stem", "stage1", "stage2", "stage3", "stage4", "pooled", "head"])
        #expect(plan.rows.map(\.rateFactor) == [0, 0, 0, 0.25, 0.5, 0, 1])
        #expect(plan.rows.map(\.normalization) == [.frozen, .frozen, .frozen, .train, .train, nil, nil])
        let rules = plan.rules(for: network, l2: 0.1, pull: 0.2)
        #expect(rules["layer2.0.conv1.weight"] == nil)
        #expect(rules["layer3.0.conv1.weight"] == ParameterRule(learns: true, rateFactor: 0.25, l2: 0.1, pull: 0.2))
        #expect(rules["layer3.0.bn1.weight"] == ParameterRule(learns: true, rateFactor: 0.25))
        #expect(rules["fc.weight"] == ParameterRule(learns: true, rateFactor: 1, l2: 0.1))
        #expect(rules["fc.bias"] == ParameterRule(learns: true, rateFactor: 1))
        let live = plan.liveNormalizations(of: network)
        #expect(live.contains("layer4.1.bn2") && !live.contains("layer2.1.bn2"))
    }

    @Test("knows the words for stages, and refuses others by name")
    func words() throws {
        let network = try #require(network)
        #expect(try Unfreezing("all").firstStage(of: network) == "stem")
        #expect(try Unfreezing("last").firstStage(of: network) == "stage4")
        #expect(try Unfreezing("head").firstStage(of: network) == "head")
        #expect(try Unfreezing("stage2").firstStage(of: network) == "stage2")
        let error = #expect(throws: FreezeError.self) { try Unfreezing("stage7").firstStage(of: network) }
        #expect(error?.description.contains("stem, stage1, stage2, stage3, stage4, head") == true)
    }

    @Test("cuts the network where everything after passes, and the two parts are the whole")
    func cut() throws {
        let network = try #require(network)
        #expect(try network.boundary(before: "stem") == Node.image)
        #expect(try network.boundary(before: "stage3") == "layer2.1.relu")
        #expect(try network.boundary(before: "head") == "avgpool")
        let shape = try #require(network.outputShape(of: "layer2.1.relu", height: 64, width: 64))
        #expect(shape == [16, 8, 8])
        let part = network.part(after: "layer2.1.relu", outputShape: shape)
        #expect(part.inputChannels == 16 && part.nodes.first?.inputs == [Node.image])
        #expect(
            part.nodes.count + network.ancestors(of: "layer2.1.relu").subtracting([Node.image]).count
                == network.nodes.count)
        let head = network.part(after: "avgpool", outputShape: [64])
        #expect(head.nodes.count == 2 && head.nodes.last?.name == "fc")
    }
}

@Suite("Phases") struct PhaseTests {
    private let network = try? Architecture("resnet20,width=8", outputs: 4).design.network()

    @Test("of gradual unfreezing go from the end to the named stage, one epoch each where they are few")
    func gradual() throws {
        let network = try #require(network)
        func plan(_ epochs: Int) -> [TrainingPhase] {
            TrainingPhase.plan(.gradual, from: "stage2", of: network, epochs: epochs)
        }
        #expect(
            plan(10) == [
                TrainingPhase(first: "stage3", epochs: 0..<5), TrainingPhase(first: "stage2", epochs: 5..<10),
            ])
        #expect(plan(2).map(\.epochs) == [0..<1, 1..<2])
        #expect(plan(1) == [TrainingPhase(first: "stage2", epochs: 0..<1)])
        let all = TrainingPhase.plan(.gradual, from: "stem", of: network, epochs: 3)
        #expect(all.map(\.first) == ["stage3", "stage2", "stem"])
        #expect(TrainingPhase.plan(.fineTune, from: "stage2", of: network, epochs: 4).map(\.epochs) == [0..<4])
    }

    @Test("of growing images share the epochs and end with the network's input", arguments: 1...40, [16, 25, 60, 63])
    func growing(_ epochs: Int, _ start: Int) throws {
        let network = try #require(network)
        let phases = TrainingPhase.plan(.scratch, from: "stem", of: network, epochs: epochs, sides: start...64)
        #expect(phases.flatMap { Array($0.epochs) } == Array(0..<epochs))
        let sides = phases.map { $0.side ?? 64 }
        #expect(phases.last?.side == nil && sides == sides.sorted() && Set(sides).count == sides.count)
        #expect(epochs == 1 || sides.first == start)
        #expect(sides.dropFirst().allSatisfy { (64 - $0) % 8 == 0 })
        let lengths = phases.map(\.epochs.count)
        #expect((lengths.max() ?? 0) - (lengths.min() ?? 0) <= 1)
    }
}

@Suite("The search for a learning rate") struct RateSearchTests {
    /// A loss that rises with the square of the step: harm begins where it is 5 % above the start.
    private func search(_ optimizer: FinetuneEngine.Optimizer, curvature: Double) -> RateSearch {
        var search = RateSearch(for: optimizer, start: 1, classes: 2)
        while let rate = search.next { search.record(1 + curvature * rate * rate, after: rate) }
        return search
    }

    @Test("finds a fraction of the longest step without harm, over ten decades", arguments: -8...6)
    func finds(decade: Int) {
        let curvature = pow(10, Double(-2 * decade + 2))
        for optimizer in [FinetuneEngine.Optimizer.momentum(), .lamb()] {
            let found = search(optimizer, curvature: curvature)
            // 1 + c·r² = 1.05
            let harm = (0.05 / curvature).squareRoot()
            let lowest = optimizer.isAdaptive ? 1e-9 : 1e-8
            let highest = optimizer.isAdaptive ? 10.0 : 100
            guard harm > lowest, harm < highest else { continue }
            let (rate, fraction) = (found.rate(restarts: 0), optimizer.isAdaptive ? 1.0 : 0.1)
            #expect(rate <= fraction * harm * 1.01 && rate > fraction * harm / 4, "\(rate) \(harm)")
            #expect(found.trials.count <= 11 && found.trials.filter { $0.loss > 1.05 }.count <= 3)
            // After a divergence the next shorter step counts.
            #expect(found.rate(restarts: 1) < rate && found.rate(restarts: 2) < found.rate(restarts: 1))
            #expect(found.rate(restarts: 1) > rate / 10.01, "\(found.trials)")
        }
    }

    @Test("says that it found none if every step does harm, or that none did")
    func ends() {
        var harmful = RateSearch(for: .momentum(), start: 1, classes: 2)
        while let rate = harmful.next { harmful.record(rate == 1e-8 ? 2 : .nan, after: rate) }
        #expect(harmful.isInVain && harmful.trials.count == 1)
        #expect(harmful.sentence(restarts: 0).hasPrefix("No learning rate was found"))
        #expect(harmful.rate(restarts: 1) < harmful.rate(restarts: 0) && harmful.rate(restarts: 0) > 0)
        let harmless = search(.momentum(), curvature: 0)
        #expect(!harmless.isInVain && harmless.sentence(restarts: 0).contains("no rate up to"))
        #expect(harmless.trials.last?.rate ?? 0 > 50)
        // A loss near zero is measured by that of chance.
        var small = RateSearch(for: .lamb(), start: 0.01, classes: 2)
        while let rate = small.next { small.record(0.01 + rate, after: rate) }
        #expect((0.015...0.035).contains(small.rate(restarts: 0)))
        // What is no number is harm.
        var broken = RateSearch(for: .adamW(), start: 0.7, classes: 2)
        while let rate = broken.next { broken.record(rate < 1e-4 ? 0.7 : .nan, after: rate) }
        #expect((1e-5...3e-5).contains(broken.rate(restarts: 0)))
    }
}

@Suite("The network's health") struct HealthTests {
    private func health(_ slopes: [Double], dead: Int = 0, update: Double = 1e-3) -> Health {
        var health = Health()
        health.stages = slopes.enumerated().map {
            .init(name: "stage\($0 + 1)", gradientNorm: $1, weightNorm: 1, updateNorm: update)
        }
        health.layers = [.init(name: "layer1.0", units: 10, dead: dead)]
        return health
    }

    @Test("names what is wrong, and is silent where nothing is")
    func findings() {
        #expect(health([0.5, 1]).findings.isEmpty)
        #expect(health([1e-6, 1]).findings.first?.text.contains("vanishes on its way to 'stage1'") == true)
        #expect(health([1e6, 1]).findings.first?.text.contains("explodes on its way to 'stage1'") == true)
        #expect(
            health([1, 1], dead: 5).findings.first?.text.contains("5 of 10 units of 'layer1.0' never fire") == true)
        #expect(health([1, 1], dead: 4).findings.isEmpty)
        #expect(health([1, 1], update: 0.5).findings.first?.text.contains("a step changes the weights of") == true)
    }

    @Test("says a kind of finding once, whatever its numbers are by then")
    func newFindings() {
        func record(_ dead: Int, _ update: Double = 1e-3) -> EpochRecord {
            EpochRecord(
                epoch: 1, learnsFrom: "head", rate: 0.1, trainLoss: 1, trainAccuracy: 0.5, trainSeconds: 0,
                validationSeconds: 0, health: health([1, 1], dead: dead, update: update))
        }
        let records = [record(0), record(5), record(6), record(0), record(7, 0.5)]
        let said = records.indices.map { Array(records[...$0]).newFindings.map(\.kind) }
        #expect(said == [[], [.deadUnits], [], [], [.largeSteps]])
        #expect([EpochRecord]().newFindings.isEmpty)
    }

    @Test("survives a checkpoint")
    func json() {
        let health = health([0.5, 1], dead: 3)
        #expect(Health(json: health.json) == health)
    }
}

@Suite("The health of an epoch") struct HealthMeterTests {
    @Test("counts a unit as dead that fired in no measured step, and passes over steps that say nothing")
    func units() {
        var meter = HealthMeter([Node("fc", stage: "head", .dense(inputs: 1, outputs: 1, hasBias: true), inputs: ["x"])]
        )
        func add(_ fired: [Bool], gradient: Double) {
            meter.add(
                ["fc.weight": StepNorms(gradient: gradient, value: 4, update: 0.01)],
                [.init(layer: "relu", fired: fired)])
        }
        add([false, false, false], gradient: 0)
        add([true, false, false], gradient: 1)
        add([false, true, false], gradient: 2)
        let health = meter.health
        #expect(health.layers == [.init(name: "relu", units: 3, dead: 1)])
        #expect(health.stages.first?.gradientNorm == 1 && health.stages.first?.weightNorm == 2)
        #expect(abs((health.stages.first?.updateRatio ?? 0) - 0.05) < 1e-12)
    }
}
