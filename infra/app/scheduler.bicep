// Durable Task Scheduler, for those who outgrow the task hub in storage (durableBackend).
param name string
param location string
param tags object

resource scheduler 'Microsoft.DurableTask/schedulers@2025-11-01' = {
  name: 'dts-${name}'
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'Consumption'
    }
    // An empty list lets nobody in. Callers are told apart by their role, not by their address.
    ipAllowlist: [
      '0.0.0.0/0'
    ]
  }
}

resource hub 'Microsoft.DurableTask/schedulers/taskHubs@2025-11-01' = {
  parent: scheduler
  name: 'onboarding'
}

output name string = scheduler.name
output endpoint string = scheduler.properties.endpoint
output hub string = hub.name
